// @ts-check
// How an interrupt ends code that awaits: each await of a cell or module is compiled to ask here
// when it resumes.

class Interrupted extends Error {
  name = 'Interrupted'
  constructor() { super('the cell was interrupted') }
}

let round = 0
let controller = new AbortController()

const now = () => round

/** @template T @param {number} then @param {T} value */
function resume(then, value) {
  if (then !== round) throw new Interrupted()
  return value
}

/** `for await` over `source`, ended by an interrupt. @param {any} source */
function each(source) {
  const it = (source[Symbol.asyncIterator] ?? source[Symbol.iterator]).call(source)
  const started = round
  return {
    [Symbol.asyncIterator]() { return this },
    async next() {
      const r = await it.next()
      if (started !== round) await it.return?.()
      return resume(started, { done: r.done, value: await r.value })
    },
    async return(/** @type {unknown} */ value) {
      return it.return ? it.return(value) : { done: true, value }
    },
  }
}

function interrupt() {
  round++
  controller.abort(new Interrupted())
  controller = new AbortController()
}

// An AbortSignal for code that waits in a library, as `fetch` does:
// `globalThis[Symbol.for('miniai.interrupt')]`.
Object.defineProperty(globalThis, Symbol.for('miniai.interrupt'), { get: () => controller.signal })

module.exports = { Interrupted, interrupt, tools: { now, resume, each } }
