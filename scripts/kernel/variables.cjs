// @ts-check
// The notebook's variables: a cell's compiled code assigns them to `exports`, later cells read
// them there.

/** @typedef {Record<string, unknown>} Store */

/** @param {Store} store @param {string} name @param {PropertyDescriptor} d */
function define(store, name, d) {
  Object.defineProperty(store, name, { ...d, enumerable: true, configurable: true })
}

/**
 * `name` is read through `get` until it is assigned: from then on it is a plain variable.
 * @param {Store} store @param {string} name @param {() => unknown} get
 */
function live(store, name, get) {
  define(store, name, { get, set: value => define(store, name, { value, writable: true }) })
}

/** @param {PropertyDescriptor | undefined} d */
const valueOf = d => d?.get ? d.get() : d?.value

/**
 * Watch which of `names` a cell sets; the answer, a function, gives those it has not set and
 * leaves them as they were.
 * @param {Store} store @param {string[]} names
 */
function watch(store, names) {
  const watched = names.map(name => {
    const before = Object.getOwnPropertyDescriptor(store, name)
    return { name, before, get: () => valueOf(before) }
  })
  for (const { name, get } of watched) live(store, name, get)
  return () => {
    const isUnset = (/** @type {typeof watched[number]} */ { name, get }) =>
      Object.getOwnPropertyDescriptor(store, name)?.get === get
    const unset = watched.filter(isUnset)
    for (const { name, before } of unset) {
      if (before) Object.defineProperty(store, name, before)
      else delete store[name]
    }
    return unset.map(w => w.name)
  }
}

module.exports = { live, watch }
