// @ts-check
// A small Jupyter client: starts a kernel as Jupyter does and talks to it over its sockets.
const fs = require('fs')
const net = require('net')
const os = require('os')
const path = require('path')
const { spawn } = require('child_process')
const { randomUUID } = require('crypto')
/** @type {typeof import('zeromq')} */
const zmq = require('./packages.cjs').fromTslab('zeromq')
const { encode, decode, message } = require('./wire.cjs')

/** @typedef {{ type: string, content: any }} Output */
/** @typedef {{ reply: any, outputs: Output[] }} Answer */
/**
 * @typedef {object} Waiting a request on its way
 * @property {(a: Answer) => void} done
 * @property {(e: Error) => void} failed
 * @property {Output[]} outputs
 * @property {any} [reply]
 * @property {boolean} [isIdle]
 */

const CHANNELS = ['shell', 'iopub', 'stdin', 'control', 'hb']

/** Five free ports, open together so that they differ. */
async function freePorts() {
  const servers = CHANNELS.map(() => net.createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map(s => new Promise(resolve => s.on('listening', resolve))))
  const ports = servers.map(s => /** @type {import('net').AddressInfo} */ (s.address()).port)
  await Promise.all(servers.map(s => new Promise(resolve => s.close(resolve))))
  return Object.fromEntries(CHANNELS.map((name, i) => [`${name}_port`, ports[i]]))
}

/** @returns {Promise<import('./sockets.cjs').Connection>} */
async function newConnection() {
  return { transport: 'tcp', ip: '127.0.0.1', key: randomUUID(), ...await freePorts() }
}

/** @param {import('./sockets.cjs').Connection} connection */
function connect(connection) {
  const shell = new zmq.Dealer(), control = new zmq.Dealer(), iopub = new zmq.Subscriber()
  const sockets = { shell, control, iopub }
  for (const [name, socket] of Object.entries(sockets)) {
    socket.connect(`tcp://127.0.0.1:${connection[`${name}_port`]}`)
  }
  iopub.subscribe()
  return sockets
}

/**
 * Start `kernel`, the path of kernel.cjs, in the notebook's folder.
 * @param {{ kernel: string, cwd: string, env?: NodeJS.ProcessEnv }} o
 */
async function startKernel({ kernel, cwd, env }) {
  const connection = await newConnection(), { key } = connection
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'kernel-'))
  const file = path.join(folder, 'connection.json')
  const clean = () => fs.rmSync(folder, { recursive: true, force: true })
  process.once('exit', clean)
  fs.writeFileSync(file, JSON.stringify(connection))
  const child = spawn(process.execPath, [kernel, file], {
    cwd, env, stdio: ['ignore', 'ignore', 'pipe'],
  })
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', text => { stderr += text })

  const { shell, control, iopub } = connect(connection)
  /** @type {Map<string, Waiting>} */
  const waiting = new Map()
  /** @type {Output[]} all that was published */
  const published = []

  /**
   * @param {AsyncIterable<Buffer[]>} socket
   * @param {(w: Waiting | undefined, type: string, content: any) => void} take
   */
  async function read(socket, take) {
    for await (const frames of socket) {
      const { header, parent, content } = decode(key, frames), id = parent.msg_id ?? ''
      const w = waiting.get(id)
      take(w, header.msg_type, content)
      if (!w?.isIdle || !w.reply) continue
      w.done({ reply: w.reply, outputs: w.outputs })
      waiting.delete(id)
    }
  }
  for (const socket of [shell, control]) {
    read(socket, (w, type, content) => { if (w) w.reply = content })
  }
  read(iopub, (w, type, content) => {
    published.push({ type, content })
    if (w && type === 'status') w.isIdle = content.execution_state === 'idle'
    else w?.outputs.push({ type, content })
  })

  const exited = new Promise(resolve => child.on('exit', resolve)).then(() => {
    for (const s of [shell, control, iopub]) s.close()
    for (const w of waiting.values()) w.failed(new Error(`the kernel ended: ${stderr}`))
    process.off('exit', clean)
    clean()
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

  /** Until its messages arrive, a subscriber misses what is published. */
  async function connected() {
    const later = () => new Promise(resolve => setTimeout(resolve, 200))
    while (!await Promise.race([request('kernel_info_request', {}), later()]));
    waiting.clear()
  }
  await connected()
  return {
    request, published, child, exited,
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
