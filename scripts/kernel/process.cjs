// @ts-check
// Starts the process of a notebook's cells, passes messages, and says why it ended.
const path = require('path')
const readline = require('readline')
const { spawn } = require('child_process')

/** @typedef {{ type: string, [key: string]: any }} Message */

// Lines that TensorFlow and its libraries write to the terminal, and V8's farewell.
const LOG = /^(\d{4}-\d\d-\d\d [\d:.]+: )?[IWEF]\d* .*\.(cc|cpp|h|cu)(\.\w+)?:\d+\] |^WARNING: All log messages before absl|^To enable the following instructions/
const FAREWELL = /<--- Last few GCs --->|^FATAL ERROR: |^# Fatal |^----- Native stack trace -----/
const ABORTS = new Set(['SIGABRT', 'SIGTRAP', 'SIGILL'])

/** @param {number | null} code @param {NodeJS.Signals | null} signal @param {string} said */
function reason(code, signal, said) {
  if (/heap out of memory|Array buffer allocation failed/.test(said)) return 'out of memory: JavaScript\'s heap is full (NODE_OPTIONS=--max-old-space-size=8192 allows 8 GB)'
  const last = said.split('\n').reverse().find(line => /^(F\d+|FATAL|#|terminate called|node:)|: symbol lookup|[Ee]rror:? /.test(line))?.replace(/^# /, '')
  if (signal === 'SIGKILL') return 'the system killed it, probably because memory ran out'
  if (signal) return `${ABORTS.has(signal) ? 'it gave up' : 'it crashed'} in native code (${signal})${last ? `: ${last}` : ''}`
  return `process.exit(${code}) was called`
}

/**
 * Text by lines, without logs; after V8's farewell nothing passes.
 * @param {(text: string) => void} pass
 */
function quiet(pass) {
  let rest = '', over = false
  return (/** @type {string} */ text) => {
    const lines = (rest + text).split('\n')
    rest = /** @type {string} */ (lines.pop())
    const kept = lines.filter(line => !(over ||= FAREWELL.test(line)) && !LOG.test(line))
    if (kept.length) pass(kept.join('\n') + '\n')
  }
}

/**
 * @param {object} o
 * @param {string} o.root the repository
 * @param {string} o.cwd the notebook's folder
 * @param {(m: Message) => void} o.onMessage
 * @param {(reason: string) => void} o.onEnd
 */
function startProcess({ root, cwd, onMessage, onEnd }) {
  const args = ['--no-force-async-hooks-checks', path.join(__dirname, 'child.cjs'), root]
  const env = { TF_CPP_MIN_LOG_LEVEL: '3', ...process.env }
  const child = spawn(process.execPath, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'] })
  const [, out, err, commands, messages] = /** @type {import('stream').Duplex[]} */ (/** @type {unknown} */ (child.stdio))
  let said = ''
  const passError = quiet(text => onMessage({ type: 'stream', name: 'stderr', text }))
  out.setEncoding('utf8').on('data', text => onMessage({ type: 'stream', name: 'stdout', text }))
  err.setEncoding('utf8').on('data', text => {
    said = (said + text).slice(-8000)
    passError(text)
  })
  readline.createInterface({ input: messages }).on('line', line => onMessage(JSON.parse(line)))
  commands.on('error', () => {}) // it ended: `exit` tells
  const gone = new Promise(resolve => child.on('exit', (code, signal) => setTimeout(() => { // its last words come first
    onEnd(reason(code, signal, said))
    resolve(undefined)
  }, 50)))
  child.on('error', e => onEnd(e.message))
  return {
    gone,
    /** @param {Message} message */
    send: message => { commands.write(JSON.stringify(message) + '\n') },
    kill: () => { child.kill('SIGKILL') },
  }
}

module.exports = { startProcess }
