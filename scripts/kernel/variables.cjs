// @ts-check
// The notebook's variables. A cell's compiled code assigns them to `exports`; later cells read them there.

/** @param {object} store @param {string} name @param {unknown} value */
const set = (store, name, value) => Object.defineProperty(store, name, { value, writable: true, enumerable: true, configurable: true })

/**
 * `name` is read through `get` until it is assigned: from then on it is a plain variable.
 * @param {object} store @param {string} name @param {() => unknown} get
 */
function live(store, name, get) {
  Object.defineProperty(store, name, { get, set: value => { set(store, name, value) }, enumerable: true, configurable: true })
}

/** @param {PropertyDescriptor | undefined} d */
const valueOf = d => d?.get ? d.get() : d?.value

/**
 * Watch which of `names` a cell sets; the answer, a function, gives those it has not set and leaves them as they were.
 * @param {Record<string, unknown>} store @param {string[]} names
 */
function watch(store, names) {
  const watched = names.map(name => {
    const before = Object.getOwnPropertyDescriptor(store, name)
    return { name, before, get: () => valueOf(before) }
  })
  for (const { name, get } of watched) live(store, name, get)
  return () => {
    const unset = watched.filter(({ name, get }) => Object.getOwnPropertyDescriptor(store, name)?.get === get)
    for (const { name, before } of unset) before ? Object.defineProperty(store, name, before) : Reflect.deleteProperty(store, name)
    return unset.map(w => w.name)
  }
}

module.exports = { live, watch }
