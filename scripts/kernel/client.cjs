// @ts-check
// A small Jupyter client: starts a kernel as Jupyter does and talks to it over its sockets.
const fs = require('fs')
const net = require('net')
const os = require('os')
const path = require('path')
const { spawn } = require('child_process')
const { createRequire } = require('module')
const { randomUUID } = require('crypto')
/** @type {typeof import('zeromq')} */
const zmq = createRequire(require.resolve('tslab/package.json'))('zeromq')
const { encode, decode, message } = require('./wire.cjs')

/** @typedef {{ reply: any, outputs: { type: string, content: any }[] }} Answer */
/** @typedef {{ done: (a: Answer) => void, failed: (e: Error) => void, reply?: any, idle?: boolean, outputs: { type: string, content: any }[] }} Waiting */

const PORTS = ['shell_port', 'iopub_port', 'stdin_port', 'control_port', 'hb_port']

/** Five free ports, open together so that they differ. */
async function freePorts() {
  const servers = await Promise.all(PORTS.map(() => new Promise(resolve => {
    const s = net.createServer().listen(0, '127.0.0.1', () => resolve(s))
  })))
  const ports = servers.map(s => s.address().port)
  await Promise.all(servers.map(s => new Promise(resolve => s.close(resolve))))
  return Object.fromEntries(PORTS.map((name, i) => [name, ports[i]]))
}

/**
 * @param {object} o
 * @param {string} o.kernel path of kernel.cjs
 * @param {string} o.cwd the notebook's folder
 * @param {NodeJS.ProcessEnv} [o.env]
 */
async function startKernel({ kernel, cwd, env }) {
  const key = randomUUID()
  const connection = { transport: 'tcp', ip: '127.0.0.1', signature_scheme: 'hmac-sha256', key, ...await freePorts() }
  const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'kernel-')), 'connection.json')
  fs.writeFileSync(file, JSON.stringify(connection))
  const child = spawn(process.execPath, [kernel, file], { cwd, env, stdio: ['ignore', 'inherit', 'pipe'] })
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', text => { stderr += text })

  const address = (/** @type {string} */ name) => `tcp://127.0.0.1:${/** @type {any} */ (connection)[`${name}_port`]}`
  const shell = new zmq.Dealer(), control = new zmq.Dealer(), iopub = new zmq.Subscriber()
  shell.connect(address('shell'))
  control.connect(address('control'))
  iopub.connect(address('iopub'))
  iopub.subscribe()
  /** @type {Map<string, Waiting>} */
  const waiting = new Map()
  /** @type {{ type: string, content: any }[]} all that was published */
  const published = []

  /** @param {string} id */
  function settle(id) {
    const w = waiting.get(id)
    if (!w?.idle || !w.reply) return
    w.done({ reply: w.reply, outputs: w.outputs })
    waiting.delete(id)
  }

  /** @param {AsyncIterable<Buffer[]>} socket @param {(w: Waiting, type: string, content: any) => void} take */
  async function read(socket, take) {
    for await (const frames of socket) {
      const { header, parent, content } = decode(key, frames), id = parent.msg_id ?? ''
      if (socket === iopub) published.push({ type: header.msg_type, content })
      const w = waiting.get(id)
      if (w) take(w, header.msg_type, content)
      settle(id)
    }
  }
  for (const socket of [shell, control]) read(socket, (w, type, content) => { w.reply = content })
  read(iopub, (w, type, content) => {
    if (type === 'status') w.idle = content.execution_state === 'idle'
    else w.outputs.push({ type, content })
  })

  /**
   * Ask, and get the reply and what was published for it.
   * @param {string} type @param {object} content @param {import('zeromq').Dealer} [socket]
   * @returns {Promise<Answer>}
   */
  function request(type, content, socket = shell) {
    const m = message(type, content)
    return new Promise((done, failed) => {
      waiting.set(m.header.msg_id, { done, failed, outputs: [] })
      socket.send(encode(key, m))
    })
  }

  const exited = new Promise(resolve => child.on('exit', resolve)).then(() => {
    for (const s of [shell, control, iopub]) s.close()
    for (const w of waiting.values()) w.failed(new Error(`the kernel ended: ${stderr}`))
  })

  /** Until its messages arrive, a subscriber misses what is published. */
  async function connected() {
    const hello = () => Promise.race([request('kernel_info_request', {}), new Promise(r => setTimeout(r, 200))])
    for (let info = await hello(); ; info = await hello()) if (info) return
  }
  await connected()
  return {
    request, published, child, exited,
    stderr: () => stderr,
    /** @param {string} code @param {object} [options] */
    execute: (code, options) => request('execute_request', { code, silent: false, ...options }),
    interrupt: () => request('interrupt_request', {}, control),
    async close() {
      await request('shutdown_request', { restart: false }, control)
      await exited
    },
  }
}

module.exports = { startKernel }
