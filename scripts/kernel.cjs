// @ts-check
// The Jupyter kernel `miniai (TypeScript)`: node scripts/kernel.cjs CONNECTION_FILE
const fs = require('fs')
const path = require('path')

/** @param {unknown} e @returns {never} */
function give(e) {
  const { code, message } = /** @type {NodeJS.ErrnoException} */ (e)
  const missing = code === 'MODULE_NOT_FOUND' && message.split('\n')[0]
  console.error(`The miniai kernel ended: ${missing ? `${missing}. "npm run setup" installs what it needs.` : message}`)
  process.exit(1)
}
process.on('uncaughtException', give)
process.on('unhandledRejection', give)

const { openSockets } = require('./kernel/sockets.cjs')
const { createServer } = require('./kernel/server.cjs')

/** @type {{ session: import('./kernel/session.cjs').Session, compiler: import('./kernel/compiler.cjs').Compiler } | undefined} */
let made

/** The compiler takes a second to load: Jupyter is answered first. */
function ready() {
  if (made) return made
  const { createCompiler } = require('./kernel/compiler.cjs')
  const { createSession } = require('./kernel/session.cjs')
  const root = path.dirname(__dirname)
  const compiler = createCompiler(root)
  const session = createSession({ compiler, root, cwd: process.cwd(), onOutput: m => onOutput(m) })
  return made = { compiler, session }
}

function quit() {
  made?.session.kill()
  process.exit(0)
}

/** @type {(m: any) => void} */
let onOutput
const connection = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'))

async function start() {
  const { publish } = await openSockets(connection, (m, reply) => server.handle(m, reply))
  const server = createServer({ ready, publish, onOutput: f => { onOutput = f }, quit })
  publish('status', { execution_state: 'starting' })
  process.on('SIGINT', () => made?.session.interrupt())
  process.on('SIGTERM', quit)
  setTimeout(ready, 100)
}
start()
