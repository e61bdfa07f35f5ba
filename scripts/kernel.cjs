// @ts-check
// The Jupyter kernel `miniai (TypeScript)`: node scripts/kernel.cjs CONNECTION_FILE
const fs = require('fs')
const path = require('path')

/** @param {unknown} e @returns {never} */
function give(e) {
  const { code, message } = /** @type {NodeJS.ErrnoException} */ (e)
  const missing = `${message.split('\n')[0]}. "npm run setup" installs what it needs.`
  console.error(`The miniai kernel ended: ${code === 'MODULE_NOT_FOUND' ? missing : message}`)
  process.exit(1)
}
process.on('uncaughtException', give)
process.on('unhandledRejection', give)

const { openSockets } = require('./kernel/sockets.cjs')
const { createServer } = require('./kernel/server.cjs')

/** @type {import('./kernel/server.cjs').Works | undefined} */
let works

/** The compiler takes a second to load: Jupyter is answered first. */
function ready() {
  if (works) return works
  const { createCompiler } = require('./kernel/compiler.cjs')
  const { createSession } = require('./kernel/session.cjs')
  const root = path.dirname(__dirname), cwd = process.cwd(), { onOutput } = server
  const compiler = createCompiler(root)
  return works = { compiler, session: createSession({ compiler, root, cwd, onOutput }) }
}

function quit() {
  works?.session.kill()
  process.exit(0)
}

/** @type {Awaited<ReturnType<typeof openSockets>>} */
let sockets
const server = createServer({ ready, quit, publish: (...args) => sockets.publish(...args) })
process.on('SIGINT', () => works?.session.interrupt())
process.on('SIGTERM', quit)

/** A kernel whose Jupyter is gone has nobody to shut it down. @param {number} parent */
const orphaned = parent => { if (process.ppid !== parent) quit() }

async function start() {
  const connection = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'))
  sockets = await openSockets(connection, server.handle)
  sockets.publish('status', { execution_state: 'starting' })
  setTimeout(ready, 100)
  setInterval(orphaned, 1000, process.ppid)
}
start()
