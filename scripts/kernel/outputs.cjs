// @ts-check
// What cells print and show, on its way to the notebook: text is gathered, and of the updates of
// one picture that come quicker than anyone can see, the last is sent.

const EVERY = 30 // ms

/** @typedef {{ type: string, content: any, to: any }} Output */

/** Whether `b` can take the place of `a`. @param {Output | undefined} a @param {Output} b */
function replaces(a, b) {
  const id = (/** @type {Output} */ o) => o.content.transient?.display_id
  return a?.type === 'update_display_data' && b.type === a.type && a.to === b.to && id(a) === id(b)
}

/** Whether text `b` goes on with `a`. @param {Output | undefined} a @param {Output} b */
function continues(a, b) {
  const isText = a?.type === 'stream' && b.type === a.type
  return isText && a.to === b.to && a.content.name === b.content.name
}

/** @param {(type: string, content: object, to: any) => void} publish */
function createOutputs(publish) {
  /** @type {Output[]} */
  let waiting = []
  /** @type {NodeJS.Timeout | undefined} */
  let timer

  function flush() {
    clearTimeout(timer)
    timer = undefined
    for (const o of waiting) publish(o.type, o.content, o.to)
    waiting = []
  }

  /** @param {string} type @param {any} content @param {unknown} to the request it belongs to */
  function add(type, content, to) {
    const o = { type, content, to }, last = waiting.at(-1)
    if (last && continues(last, o)) last.content.text += content.text
    else if (replaces(last, o)) waiting[waiting.length - 1] = o
    else waiting.push(o)
    timer ??= setTimeout(flush, EVERY)
  }
  return { add, flush }
}

module.exports = { createOutputs }
