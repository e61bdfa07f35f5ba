// @ts-check
// A thread beside the one that runs cells: it hears an interrupt though a cell is busy, and the kernel's end.
const net = require('net')
const readline = require('readline')
const { Session } = require('inspector')
const { parentPort, workerData } = require('worker_threads')

const port = /** @type {import('worker_threads').MessagePort} */ (parentPort)
/** @type {NodeJS.Timeout | undefined} */
let waiting

/** Ends what the main thread executes just now, whatever it is: V8's own way, as a browser's "stop script". */
function terminate() {
  const session = new Session()
  session.connectToMainThread()
  session.post('Runtime.terminateExecution', () => {
    session.disconnect()
    port.postMessage({ type: 'terminated' })
  })
}

function interrupt() {
  clearInterval(waiting)
  waiting = setInterval(terminate, workerData.patience)
}

const input = new net.Socket({ fd: workerData.fd })
readline.createInterface({ input }).on('line', line => {
  const message = JSON.parse(line)
  if (message.type === 'interrupt') interrupt()
  port.postMessage(message)
})
input.on('close', () => process.kill(process.pid, 'SIGKILL'))
port.on('message', () => clearInterval(waiting)) // the main thread has time: code that awaits ends by itself
