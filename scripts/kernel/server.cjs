// @ts-check
// The kernel's side of Jupyter's protocol: requests come in, cells run one after the other, what
// they say goes out.
const { createOutputs } = require('./outputs.cjs')

/** @typedef {import('./wire.cjs').Message} Message */
/** @typedef {import('./session.cjs').Session} Session */
/** @typedef {import('./compiler.cjs').Compiler} Compiler */
/** @typedef {import('./compiler.cjs').CellError} CellError */
/** @typedef {{ session: Session, compiler: Compiler }} Works */
/** @typedef {(type: string, content: object) => void} Reply */
/** @typedef {{ m: Message, reply: Reply }} Request */

const ARRIVAL = 20 // ms in which what was sent together with a failed cell has arrived

const INFO = {
  status: 'ok',
  protocol_version: '5.3',
  implementation: 'miniai',
  implementation_version: '1.0.0',
  banner: 'miniai (TypeScript)',
  // just what a cleaned notebook holds: with more, the lab would mark each opened one as modified
  language_info: { name: 'typescript', mimetype: 'text/typescript', file_extension: '.ts' },
}

/**
 * What a session says, as type and content of a message.
 * @param {import('./process.cjs').Message} m @param {number} count
 * @returns {[string, object]}
 */
function spoken(m, count) {
  if (m.type === 'stream') return ['stream', { name: m.name, text: m.text }]
  if (m.type === 'display') return [m.update ? 'update_display_data' : 'display_data', m.content]
  return ['execute_result', { data: m.data, metadata: {}, execution_count: count }]
}

/**
 * The answer to the execution of a cell, and the content of its error message.
 * @param {CellError | undefined} error
 */
function outcome(error) {
  if (!error) return { answer: { status: 'ok', payload: [], user_expressions: {} } }
  const { ename, evalue, traceback } = error, told = { ename, evalue, traceback }
  return { told, answer: { status: 'error', ...told } }
}

/**
 * The answers to all requests but the execution of cells.
 * @param {{ ready: () => Works, quit: () => void }} o
 * @returns {Record<string, (request: Request) => unknown>}
 */
function createHandlers({ ready, quit }) {
  return {
    kernel_info_request: ({ reply }) => reply('kernel_info_reply', INFO),
    comm_info_request: ({ reply }) => reply('comm_info_reply', { status: 'ok', comms: {} }),
    history_request: ({ reply }) => reply('history_reply', { status: 'ok', history: [] }),
    is_complete_request({ m, reply }) {
      const { completed, indent } = ready().compiler.isComplete(m.content.code)
      const status = completed ? 'complete' : 'incomplete'
      reply('is_complete_reply', { status, indent })
    },
    inspect_request({ m, reply }) {
      const text = ready().session.inspect(m.content.code, m.content.cursor_pos)
      const data = text ? { 'text/plain': text } : {}
      reply('inspect_reply', { status: 'ok', found: Boolean(text), data, metadata: {} })
    },
    complete_request({ m, reply }) {
      const found = ready().session.complete(m.content.code, m.content.cursor_pos)
      const { start: cursor_start, end: cursor_end, candidates: matches } = found
      reply('complete_reply', { status: 'ok', matches, cursor_start, cursor_end, metadata: {} })
    },
    interrupt_request({ reply }) {
      ready().session.interrupt()
      reply('interrupt_reply', { status: 'ok' })
    },
    shutdown_request({ m, reply }) {
      reply('shutdown_reply', { status: 'ok', restart: m.content.restart })
      setTimeout(quit, ARRIVAL)
    },
  }
}

/**
 * A mistake of the kernel's own, over a Tab say, is no reason to lose the learner's variables.
 * @param {(request: Request) => unknown} f
 * @returns {(request: Request) => unknown}
 */
function orError(f) {
  return request => {
    try { return f(request) } catch (e) {
      const { name: ename, message: evalue } = /** @type {Error} */ (e)
      const type = request.m.header.msg_type.replace('request', 'reply')
      request.reply(type, { status: 'error', ename, evalue, traceback: [`${ename}: ${evalue}`] })
    }
  }
}

/**
 * @param {object} o
 * @param {() => Works} o.ready
 * @param {(type: string, content: object, to?: Message) => void} o.publish
 * @param {() => void} o.quit
 */
function createServer({ ready, publish, quit }) {
  const outputs = createOutputs(publish), handlers = createHandlers({ ready, quit })
  /** @type {Request[]} */
  const queue = []
  /** @type {Message | undefined} the request whose cell ran last */
  let last
  let count = 0, isWorking = false

  /** @param {object | undefined} told @param {Message | undefined} to */
  function publishError(told, to) {
    if (told) outputs.add('error', told, to)
    outputs.flush()
  }

  /** @param {import('./process.cjs').Message} m what a session says */
  function onOutput(m) {
    if (m.type === 'late') publishError(outcome(m.error).told, last)
    else outputs.add(...spoken(m, count), last)
  }

  /** @param {Request} request */
  async function execute({ m, reply }) {
    const { code, silent = false, stop_on_error = true } = m.content
    last = m
    if (!silent) publish('execute_input', { code, execution_count: ++count }, m)
    const { told, answer: result } = outcome(await ready().session.run(code, count))
    publishError(told, m)
    if (told && stop_on_error) await abort()
    reply('execute_reply', { ...result, execution_count: count })
  }

  /** What was asked for before the failure was known is not run: "Run All" stops there. */
  async function abort() {
    await new Promise(resolve => setTimeout(resolve, ARRIVAL))
    for (const request of queue.splice(0)) {
      answer(request, ({ reply }) => reply('execute_reply', { status: 'aborted' }))
    }
  }

  /** @param {Request} request @param {(request: Request) => unknown} f */
  async function answer(request, f) {
    publish('status', { execution_state: 'busy' }, request.m)
    try {
      await f(request)
    } finally {
      publish('status', { execution_state: 'idle' }, request.m)
    }
  }

  async function work() {
    if (isWorking) return
    isWorking = true
    for (let next = queue.shift(); next; next = queue.shift()) await answer(next, execute)
    isWorking = false
  }

  /** @param {Message} m @param {Reply} reply */
  function handle(m, reply) {
    const request = { m, reply }, { msg_type } = m.header
    if (msg_type === 'execute_request') {
      queue.push(request)
      work()
    } else if (handlers[msg_type]) answer(request, orError(handlers[msg_type]))
  }
  return { handle, onOutput }
}

module.exports = { createServer }
