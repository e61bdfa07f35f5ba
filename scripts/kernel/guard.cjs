// @ts-check
// A thread beside the one that runs cells: it hears of an interrupt though a cell is busy, and of
// the kernel's end.
const net = require('net')
const readline = require('readline')
const { fileURLToPath } = require('url')
const { Session } = require('inspector')
const { parentPort, workerData } = require('worker_threads')

const port = /** @type {import('worker_threads').MessagePort} */ (parentPort)
/** @type {NodeJS.Timeout | undefined} */
let waiting

/**
 * Ends what the main thread executes just now, whatever it is, and tells where: V8's own way, a
 * browser's "stop script".
 */
function terminate() {
  const session = new Session()
  const files = new Map()
  session.connectToMainThread()
  session.on('Debugger.scriptParsed', ({ params }) => {
    files.set(params.scriptId, pathOf(params.url))
  })
  session.once('Debugger.paused', ({ params }) => {
    session.post('Runtime.terminateExecution')
    session.post('Debugger.resume')
    session.post('Debugger.disable', () => session.disconnect())
    port.postMessage({ type: 'terminated', frames: params.callFrames.map(f => frame(f, files)) })
  })
  session.post('Debugger.enable')
  session.post('Debugger.pause')
}

/** @param {string} url */
const pathOf = url => url.startsWith('file:') ? fileURLToPath(url) : url

/** @param {import('inspector').Debugger.CallFrame} f @param {Map<string, string>} files */
function frame({ functionName: name, location }, files) {
  const { scriptId, lineNumber, columnNumber = 0 } = location
  return { name, file: files.get(scriptId), line: lineNumber + 1, column: columnNumber + 1 }
}

function interrupt() {
  waiting ??= setInterval(terminate, workerData.patience)
}

/** The main thread has time to answer: code that awaits ends by itself. */
function calm() {
  clearInterval(waiting)
  waiting = undefined
}

const input = new net.Socket({ fd: workerData.fd })
readline.createInterface({ input }).on('line', line => {
  const message = JSON.parse(line)
  if (message.type === 'interrupt') interrupt()
  port.postMessage(message)
})
input.on('close', () => process.kill(process.pid, 'SIGKILL'))
port.on('message', calm)
