// @ts-check
// The kernel's side of Jupyter's protocol: requests come in, cells run one after the other, what they say goes out.
const { createOutputs } = require('./outputs.cjs')

/** @typedef {import('./wire.cjs').Message} Message */
/** @typedef {(type: string, content: object) => void} Reply */
/** @typedef {{ m: Message, reply: Reply }} Request */

const ARRIVAL = 20 // ms in which what was sent together with a failed cell has arrived

const INFO = {
  status: 'ok',
  protocol_version: '5.3',
  implementation: 'miniai',
  implementation_version: '1.0.0',
  banner: 'miniai (TypeScript)',
  language_info: {
    name: 'typescript', version: '5.0.4', mimetype: 'text/typescript', file_extension: '.ts',
    codemirror_mode: { name: 'javascript', mode: 'typescript', typescript: true },
  },
}

/**
 * @param {object} o
 * @param {() => { session: import('./session.cjs').Session, compiler: import('./compiler.cjs').Compiler }} o.ready
 * @param {(type: string, content: object, to?: Message) => void} o.publish
 * @param {(onOutput: (m: any) => void) => void} o.onOutput
 * @param {() => void} o.quit
 */
function createServer({ ready, publish, onOutput, quit }) {
  const outputs = createOutputs(publish)
  /** @type {Request[]} */
  const queue = []
  /** @type {Message | undefined} the request whose cell ran last */
  let last
  let count = 0
  let working = false

  /** @param {import('./session.cjs').CellError} error @param {Message | undefined} to */
  function publishError({ ename, evalue, traceback }, to) {
    outputs.add('error', { ename, evalue, traceback }, to)
    outputs.flush()
  }

  onOutput(m => {
    if (m.type === 'stream') outputs.add('stream', { name: m.name, text: m.text }, last)
    else if (m.type === 'display') outputs.add(m.update ? 'update_display_data' : 'display_data', m.content, last)
    else if (m.type === 'result') outputs.add('execute_result', { data: m.data, metadata: {}, execution_count: count }, last)
    else if (m.type === 'late') publishError(m.error, last)
  })

  /** @param {Request} request */
  async function execute({ m, reply }) {
    const { code, silent = false, stop_on_error = true } = m.content
    last = m
    if (!silent) publish('execute_input', { code, execution_count: ++count }, m)
    const error = await ready().session.run(code, count)
    outputs.flush()
    if (!error) return reply('execute_reply', { status: 'ok', execution_count: count, payload: [], user_expressions: {} })
    const { ename, evalue, traceback } = error
    publishError(error, m)
    if (stop_on_error) await abort()
    reply('execute_reply', { status: 'error', execution_count: count, ename, evalue, traceback })
  }

  /** What was asked for before the failure was known is not run: "Run All" stops there. */
  async function abort() {
    await new Promise(resolve => setTimeout(resolve, ARRIVAL))
    for (const request of queue.splice(0)) answer(request, ({ reply }) => reply('execute_reply', { status: 'aborted' }))
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
    if (working) return
    working = true
    for (let next = queue.shift(); next; next = queue.shift()) await answer(next, execute)
    working = false
  }

  /** @type {Record<string, (request: Request) => unknown>} */
  const handlers = {
    kernel_info_request: ({ reply }) => reply('kernel_info_reply', INFO),
    comm_info_request: ({ reply }) => reply('comm_info_reply', { status: 'ok', comms: {} }),
    history_request: ({ reply }) => reply('history_reply', { status: 'ok', history: [] }),
    is_complete_request({ m, reply }) {
      const { completed, indent } = ready().compiler.isComplete(m.content.code)
      reply('is_complete_reply', completed ? { status: 'complete' } : { status: 'incomplete', indent })
    },
    inspect_request({ m, reply }) {
      const text = ready().session.inspect(m.content.code, m.content.cursor_pos)
      reply('inspect_reply', { status: 'ok', found: Boolean(text), data: text ? { 'text/plain': text } : {}, metadata: {} })
    },
    complete_request({ m, reply }) {
      const { start, end, candidates } = ready().session.complete(m.content.code, m.content.cursor_pos)
      reply('complete_reply', { status: 'ok', matches: candidates, cursor_start: start, cursor_end: end, metadata: {} })
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

  /** @param {Message} m @param {Reply} reply */
  function handle(m, reply) {
    const request = { m, reply }, handler = handlers[m.header.msg_type]
    if (m.header.msg_type !== 'execute_request') return handler && answer(request, handler)
    queue.push(request)
    work()
  }
  return { handle }
}

module.exports = { createServer }
