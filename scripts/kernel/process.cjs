// @ts-check
// Starts the process of a notebook's cells, passes messages, and says why it ended.
const path = require('path')
const { spawn } = require('child_process')

/** @typedef {{ type: string, [key: string]: any }} Message */

// What TensorFlow and its libraries write to the terminal, and V8's farewell.
const LOGS = [
  /^(\d{4}-\d\d-\d\d [\d:.]+: )?[IWEF]\d* .*\.(cc|cpp|h|cu)(\.\w+)?:\d+\] /,
  /^WARNING: All log messages before absl::InitializeLog/,
  /^To enable the following instructions: .* rebuild TensorFlow/,
]
const FAREWELL = /<--- Last few GCs --->|^FATAL ERROR: |^# Fatal |^----- Native stack trace -----/
const CONFESSION = /^(F\d+|FATAL|#|terminate called|node:)|: symbol lookup|[Ee]rror:? /
const FULL = /heap out of memory|Array buffer allocation failed/

/** @param {number | null} code @param {NodeJS.Signals | null} signal @param {string} said */
function reason(code, signal, said) {
  const advice = 'NODE_OPTIONS=--max-old-space-size=8192 allows 8 GB'
  if (FULL.test(said)) return `out of memory: JavaScript's heap is full (${advice})`
  if (signal === 'SIGKILL') return 'the system killed it, probably because memory ran out'
  if (!signal) return `process.exit(${code}) was called`
  const last = said.split('\n').reverse().find(line => CONFESSION.test(line))?.replace(/^# /, '')
  return `it crashed in native code (${signal})${last ? `: ${last}` : ''}`
}

/**
 * Takes text as it comes and passes whole lines on; what a dying process began is dropped.
 * @param {(line: string) => void} pass
 */
function byLine(pass) {
  /** @type {string[]} */
  let begun = []
  return (/** @type {string} */ text) => {
    const [first, ...more] = text.split('\n')
    begun.push(first)
    if (!more.length) return
    const lines = [begun.join(''), ...more]
    begun = lines.splice(-1)
    lines.forEach(pass)
  }
}

/**
 * Passes lines on, without logs; after V8's farewell none.
 * @param {(text: string) => void} pass
 */
function quiet(pass) {
  let isOver = false
  return byLine(line => {
    isOver ||= FAREWELL.test(line)
    if (!isOver && !LOGS.some(log => log.test(line))) pass(line + '\n')
  })
}

/** @typedef {(m: Message) => void} OnMessage */
/** @typedef {(reason: string) => void} OnEnd */

/**
 * `root` is the repository, `cwd` the notebook's folder.
 * @param {{ root: string, cwd: string, onMessage: OnMessage, onEnd: OnEnd }} o
 */
function startProcess({ root, cwd, onMessage, onEnd }) {
  // An interrupt leaves Node's own books on callbacks open; it would stop at that.
  const args = ['--no-force-async-hooks-checks', path.join(__dirname, 'child.cjs'), root]
  const env = { TF_CPP_MIN_LOG_LEVEL: '3', ...process.env }
  const child = spawn(process.execPath, args, {
    cwd, env, stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
  })
  const pipes = /** @type {import('stream').Duplex[]} */ (/** @type {unknown} */ (child.stdio))
  const [, out, err, commands, messages] = pipes
  let said = ''

  /** @param {string} name */
  const stream = name => (/** @type {string} */ text) => onMessage({ type: 'stream', name, text })
  out.setEncoding('utf8').on('data', stream('stdout'))
  err.setEncoding('utf8').on('data', quiet(stream('stderr')))
  err.on('data', text => { said = (said + text).slice(-8000) })
  messages.setEncoding('utf8').on('data', byLine(line => onMessage(JSON.parse(line))))
  commands.on('error', () => {}) // it ended: `exit` tells

  const gone = new Promise(resolve => child.on('exit', (code, signal) => {
    const end = () => resolve(onEnd(reason(code, signal, said)))
    setTimeout(end, 50) // its last words come first
  }))
  child.on('error', e => onEnd(e.message))
  return {
    gone,
    /** @param {Message} message */
    send: message => { commands.write(JSON.stringify(message) + '\n') },
    kill: () => { child.kill('SIGKILL') },
  }
}

module.exports = { startProcess }
