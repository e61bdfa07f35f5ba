// @ts-check
// The kernel's five sockets.
/** @type {typeof import('zeromq')} */
const zmq = require('./packages.cjs').fromTslab('zeromq')
const { encode, decode, message } = require('./wire.cjs')

/** @typedef {import('./wire.cjs').Message} Message */
/** @typedef {{ transport: string, ip: string, key: string, [port: string]: any }} Connection */
/** @typedef {(m: Message, reply: (type: string, content: object) => void) => void} Handler */

/**
 * @param {Connection} connection as Jupyter's connection file has it
 * @param {Handler} handle gets the requests of the shell and control sockets
 */
async function openSockets(connection, handle) {
  const { transport, ip, key } = connection
  const unbounded = { sendHighWaterMark: 0, sendTimeout: 0 } // cells print faster than one reads
  const sockets = {
    iopub: new zmq.Publisher(unbounded),
    shell: new zmq.Router(unbounded),
    control: new zmq.Router(unbounded),
    stdin: new zmq.Router(),
    hb: new zmq.Reply(),
  }

  /**
   * Messages leave one after the other.
   * @param {{ send: (frames: any) => Promise<void> }} socket
   */
  function sender(socket) {
    let last = Promise.resolve()
    return (/** @type {Message} */ m) => { last = last.then(() => socket.send(encode(key, m))) }
  }

  /** @param {import('zeromq').Router} socket */
  async function serve(socket) {
    const send = sender(socket)
    for await (const frames of socket) {
      try {
        const m = decode(key, frames)
        handle(m, (type, content) => send(message(type, content, m)))
      } catch (e) {
        console.error(`miniai kernel: ${/** @type {Error} */ (e).message}`)
      }
    }
  }

  async function echo() {
    for await (const frames of sockets.hb) await sockets.hb.send(frames)
  }

  await Promise.all(Object.entries(sockets).map(([name, socket]) =>
    socket.bind(`${transport}://${ip}:${connection[`${name}_port`]}`)))
  serve(sockets.shell)
  serve(sockets.control)
  echo()
  const send = sender(sockets.iopub)
  return {
    /** @param {string} type @param {object} content @param {Message} [to] */
    publish(type, content, to) {
      send({ ...message(type, content, to), identities: [Buffer.from(type)] })
    },
  }
}

module.exports = { openSockets }
