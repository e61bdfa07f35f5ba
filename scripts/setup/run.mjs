// Runs commands, and sees to it that one set-up at a time works in this folder.
import { spawn, spawnSync } from 'node:child_process'
import { appendFileSync, readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { at, read, root } from './state.mjs'

export const logPath = '.cache/setup.log'
const lockPath = '.cache/setup.lock'

/** Without the variables that would lead a Python elsewhere. */
function clean() {
  const gone = { PYTHONHOME: undefined, PYTHONPATH: undefined, PIP_TARGET: undefined }
  return { ...process.env, ...gone, PIP_USER: undefined }
}

export const succeeds = (command, args) =>
  spawnSync(command, args, { stdio: 'ignore', env: clean() }).status === 0

let child, last = ''

/** The last line that the command said. */
export const lastLine = () => last

/**
 * Runs a command to its end, its output into the log. A failure quotes the last line that says
 * something, and has all the last lines in `tail`.
 */
export function run(command, args) {
  last = ''
  return new Promise((resolve, reject) => {
    child = spawn(command, args, { cwd: root, env: clean(), stdio: ['ignore', 'pipe', 'pipe'] })
    writeFileSync(at(lockPath), JSON.stringify({ pid: process.pid, child: child.pid }))
    let tail = ''
    const take = data => {
      appendFileSync(at(logPath), data)
      tail = (tail + data).slice(-4000)
      last = tail.trimEnd().split('\n').at(-1)
    }
    child.stdout.on('data', take)
    child.stderr.on('data', take)
    child.on('error', reject)
    child.on('close', (code, signal) => {
      const failed = new Error(failure(tail) || `it ended with ${signal ?? code}`)
      return code === 0 ? resolve() : reject(Object.assign(failed, { tail }))
    })
  })
}

/** npm says first what is wrong, compilers and pip last. */
function failure(tail) {
  const isTold = line => /error|not found|no such|cannot/i.test(line)
  const isEmpty = line => /error (code|errno|syscall)|complete log/.test(line)
  const lines = tail.split('\n').filter(line => isTold(line) && !isEmpty(line))
  return (lines[0]?.startsWith('npm') ? lines[0] : lines.at(-1))?.trim()
}

function isAlive(pid) {
  try { return process.kill(pid, 0) } catch (error) { return error.code === 'EPERM' }
}

/** Whether `pid` is surely of this folder's set-up: numbers are used again after a while. */
function isOurs(pid) {
  try { return readlinkSync(`/proc/${pid}/cwd`) === root } catch { return false }
}

function isFresh(path) {
  try { return Date.now() - statSync(at(path)).mtimeMs < 2000 } catch { return false }
}

const holds = pid => process.platform === 'linux' ? isOurs(pid) : Boolean(pid) && isAlive(pid)

function holder() {
  try { return JSON.parse(read(lockPath)) } catch { return {} }
}

function take() {
  const text = JSON.stringify({ pid: process.pid })
  try { writeFileSync(at(lockPath), text, { flag: 'wx' }) } catch { return false }
  return true
}

/** Waits for another set-up of this folder, and ends what a killed one left running. */
export async function lock() {
  for (let isTold = false; !take(); await new Promise(resolve => setTimeout(resolve, 300))) {
    const { pid, child: left } = holder()
    if (pid === undefined && isFresh(lockPath)) continue // it is being written
    if (pid === process.pid || !holds(pid)) {
      if (isOurs(left)) process.kill(left, 'SIGKILL')
      unlock()
      continue
    }
    const wait = `Another set-up of this folder is running (process ${pid}); waiting for it.`
    if (!isTold) console.log(wait)
    isTold = true
  }
}

export function unlock() { rmSync(at(lockPath), { force: true }) }

/** On Ctrl-C and the like. */
export function stop(signal) {
  child?.kill('SIGTERM')
  unlock()
  const advice = 'Run the same command again: it goes on with the step that was cut off.'
  console.log(`\nInterrupted. ${advice}`)
  process.exit(signal === 'SIGINT' ? 130 : 143)
}
