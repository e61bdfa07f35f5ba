// Installs what the course needs into this folder, and nothing that is there already.
// Plain JavaScript: it runs before any package is installed. A step counts as done once its key stands in
// .cache/setup.json, so a run that was interrupted anywhere is simply run again.
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { appendFileSync, existsSync, mkdirSync, readFileSync, readdirSync, readlinkSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const at = (...parts) => join(root, ...parts)
const read = path => readFileSync(at(path), 'utf8')
const sha = text => createHash('sha256').update(text).digest('hex').slice(0, 16)
const windows = process.platform === 'win32'
const python = at('.venv', windows ? 'Scripts/python.exe' : 'bin/python')
const tfjs = at('node_modules/@tensorflow/tfjs-node-gpu')
const binding = join(tfjs, 'lib/napi-v8/tfjs_binding.node')
const kernelspec = '.venv/share/jupyter/kernels/miniai/kernel.json'
const labSettings = '.venv/share/jupyter/lab/settings/overrides.json'

/** A part that cannot be had here; the course goes on without it. */
class Missing extends Error {}

const steps = [
  { id: 'npm', title: 'npm packages', key: () => sha(read('package-lock.json')),
    there: () => existsSync(at('node_modules/.package-lock.json')), run: npmPackages },
  { id: 'venv', title: 'Python environment in .venv', key: () => 'venv 1', there: () => existsSync(python), run: venv },
  { id: 'lab', title: 'JupyterLab', needs: 'venv', key: () => sha(read('scripts/requirements/lab.txt')),
    there: () => existsSync(at('.venv/share/jupyter/lab')), run: () => pip('JupyterLab', '-r', 'scripts/requirements/lab.txt') },
  { id: 'kernel', title: 'kernel “miniai (TypeScript)”', needs: 'lab', key: () => sha(kernelFiles().flat().join()),
    there: () => existsSync(at(kernelspec)), run: () => kernelFiles().forEach(file => put(...file)) },
  { id: 'tensorflow', title: 'TensorFlow library', needs: 'venv',
    key: () => sha(read('scripts/requirements/cpu.txt') + read('scripts/requirements/cuda.txt')),
    there: () => Boolean(library()), run: tensorflow },
  { id: 'binding', title: 'TensorFlow binding for Node', needs: 'tensorflow',
    key: () => sha(read('package-lock.json') + read('scripts/requirements/cpu.txt')),
    there: () => existsSync(binding), run: buildBinding }
]

async function npmPackages() {
  const npm = process.env.npm_execpath
  const [command, args] = npm ? [process.execPath, [npm]] : [windows ? 'npm.cmd' : 'npm', []]
  await run(command, [...args, 'ci', '--ignore-scripts', '--no-audit', '--no-fund'])
}

/** The first Python of at least 3.10 on the PATH that has `venv`. */
function findPython() {
  const names = ['python3', 'python', ...[14, 13, 12, 11, 10].map(minor => `python3.${minor}`)]
  const found = names.filter(name => succeeds(name, ['-c', 'import sys; sys.exit(sys.version_info < (3, 10))']))
  if (!found.length) throw new Missing('Python 3.10 or newer was not found: without it there is no JupyterLab and no TensorFlow, and the course computes on WebAssembly')
  const whole = found.find(name => succeeds(name, ['-c', 'import venv, ensurepip']))
  if (!whole) throw new Missing('Python has no venv module (on Debian: apt-get install python3-venv): without it there is no JupyterLab and no TensorFlow, and the course computes on WebAssembly')
  return whole
}

async function venv() {
  const found = findPython()
  await run(found, ['-m', 'venv', '--clear', at('.venv')])
  forget('lab', 'kernel', 'tensorflow', 'binding')
}

async function pip(what, ...args) {
  try { await run(python, ['-m', 'pip', 'install', '--disable-pip-version-check', '--progress-bar', 'off', ...args]) }
  catch (error) { throw new Missing(`${what} could not be installed: ${error.message}`) }
}

/** Without a GPU only the wheel's library is used, so its Python dependencies stay out. */
async function tensorflow() {
  if (windows) throw new Missing('on Windows TensorFlow is not built (use WSL for it), and the course computes on WebAssembly')
  if (succeeds('nvidia-smi', ['-L'])) return pip('TensorFlow with CUDA', '-r', 'scripts/requirements/cuda.txt')
  return pip('TensorFlow', '--no-deps', '-r', 'scripts/requirements/cpu.txt')
}

/** The wheel's folder with libtensorflow_cc, or undefined. */
function library() {
  const lib = at('.venv', windows ? 'Lib' : 'lib')
  const sites = windows ? [lib] : existsSync(lib) ? readdirSync(lib).map(name => join(lib, name)) : []
  return sites.map(site => join(site, 'site-packages/tensorflow')).find(dir => existsSync(dir) && libraries(dir).length === 2)
}

const libraries = dir => readdirSync(dir).filter(name => /^libtensorflow_(cc|framework)\.(so\.2|2\.dylib)$/.test(name)).sort()

/** Compiles tfjs-node's two C++ files against the wheel; they use only the C interface, so any version ≥ 2.9 fits. */
async function buildBinding() {
  const compiler = [process.env.CXX, 'c++', 'g++', 'clang++'].find(name => name && succeeds(name, ['--version']))
  if (!compiler) throw new Missing('no C++ compiler was found (on Debian: apt-get install g++): without it TensorFlow cannot be used, and the course computes on WebAssembly')
  const dir = library(), made = join(dirname(binding), 'new.node'), mac = process.platform === 'darwin'
  mkdirSync(dirname(binding), { recursive: true })
  const up = '../../../../../' + dir.slice(root.length + 1)
  await run(compiler, ['-std=c++17', '-O2', '-fPIC', '-shared', '-DNAPI_VERSION=8', `-I${at('node_modules/node-api-headers/include')}`,
    `-I${join(dir, 'include')}`, ...['tfjs_backend.cc', 'tfjs_binding.cc'].map(name => join(tfjs, 'binding', name)), '-o', made,
    ...libraries(dir).map(name => join(dir, name)), `-Wl,-rpath,${mac ? '@loader_path' : '$ORIGIN'}/${up}`, ...(mac ? ['-undefined', 'dynamic_lookup'] : [])])
  try { await run(process.execPath, ['-e', 'require(process.argv[1])', made]) }
  catch (error) { throw new Missing(`TensorFlow does not load here (${error.message}), and the course computes on WebAssembly`) }
  renameSync(made, binding)
}

/** Kernelspec and lab settings, as [path, text]; `{resource_dir}` keeps the spec valid when the folder moves. */
function kernelFiles() {
  const spec = { argv: ['node', '{resource_dir}/../../../../../scripts/kernel.cjs', '{connection_file}'], display_name: 'miniai (TypeScript)',
    language: 'typescript', interrupt_mode: 'signal', env: { TF_CPP_MIN_LOG_LEVEL: '3' } }
  const settings = { '@jupyterlab/apputils-extension:notification': { fetchNews: 'false', checkForUpdates: false } }
  return [[kernelspec, JSON.stringify(spec, null, 2) + '\n'], [labSettings, JSON.stringify(settings, null, 2) + '\n']]
}

function put(path, text) {
  mkdirSync(dirname(at(path)), { recursive: true })
  writeFileSync(at(path + '.part'), text)
  renameSync(at(path + '.part'), at(path))
}

// *** what is done ***

const statePath = '.cache/setup.json', lockPath = '.cache/setup.lock', logPath = '.cache/setup.log'

function state() {
  try { return JSON.parse(read(statePath)) } catch { return {} }
}

function remember(id, key) { put(statePath, JSON.stringify({ ...state(), [id]: key }, null, 2) + '\n') }
function forget(...ids) { put(statePath, JSON.stringify(Object.fromEntries(Object.entries(state()).filter(([id]) => !ids.includes(id))))) }
const done = step => state()[step.id] === step.key() && step.there()

// *** running commands ***

const succeeds = (command, args) => spawnSync(command, args, { stdio: 'ignore', env: clean() }).status === 0
const clean = () => ({ ...process.env, PYTHONHOME: undefined, PYTHONPATH: undefined, PIP_TARGET: undefined, PIP_USER: undefined })

let child, lastLine = ''

/** Runs a command to its end, its output into the log; a failure quotes the last line that says something. */
function run(command, args) {
  return new Promise((resolve, reject) => {
    child = spawn(command, args, { cwd: root, env: clean(), stdio: ['ignore', 'pipe', 'pipe'] })
    writeFileSync(at(lockPath), JSON.stringify({ pid: process.pid, child: child.pid }))
    let tail = ''
    const take = data => {
      appendFileSync(at(logPath), data)
      tail = (tail + data).slice(-4000)
      lastLine = tail.trimEnd().split('\n').at(-1)
    }
    child.stdout.on('data', take)
    child.stderr.on('data', take)
    child.on('error', reject)
    child.on('close', (code, signal) => code === 0 ? resolve() : reject(new Error(failure(tail) || `it ended with ${signal ?? code}`)))
  })
}

/** npm says first what is wrong, compilers and pip last. */
const failure = tail => {
  const lines = tail.split('\n').filter(line => /error|not found|no such|cannot/i.test(line) && !/error (code|errno|syscall)|complete log/.test(line))
  return (lines[0]?.startsWith('npm') ? lines[0] : lines.at(-1))?.trim()
}

// *** one at a time ***

const alive = pid => { try { process.kill(pid, 0); return true } catch (error) { return error.code === 'EPERM' } }

/** Whether `pid` is surely a process of this folder's set-up: numbers are used again after a while. */
function ours(pid) {
  try { return readlinkSync(`/proc/${pid}/cwd`) === root } catch { return false }
}

const holds = pid => process.platform === 'linux' ? ours(pid) : Boolean(pid) && alive(pid)
const fresh = path => { try { return Date.now() - statSync(at(path)).mtimeMs < 2000 } catch { return false } }

function holder() {
  try { return JSON.parse(read(lockPath)) } catch { return {} }
}

/** Waits for another set-up of this folder, and ends what a killed one left running. */
async function lock() {
  for (let told = false; ; await new Promise(resolve => setTimeout(resolve, 300))) {
    try { return writeFileSync(at(lockPath), JSON.stringify({ pid: process.pid }), { flag: 'wx' }) } catch { /* somebody's lock */ }
    const { pid, child: left } = holder()
    if (pid === undefined && fresh(lockPath)) continue // it is being written
    if (pid !== process.pid && holds(pid)) {
      if (!told) console.log(`Another set-up of this folder is running (process ${pid}); waiting for it.`)
      told = true
      continue
    }
    if (ours(left)) process.kill(left, 'SIGKILL')
    rmSync(at(lockPath), { force: true })
  }
}

function stop(signal) {
  child?.kill('SIGTERM')
  rmSync(at(lockPath), { force: true })
  console.log('\nInterrupted. Run the same command again: it goes on with the step that was cut off.')
  process.exit(signal === 'SIGINT' ? 130 : 143)
}

// *** the sequence ***

/** Shows the running seconds on a terminal, and start and end anywhere else. */
async function show(label, work) {
  const start = Date.now(), seconds = () => `${Math.round((Date.now() - start) / 1000)} s`
  const draw = () => process.stdout.write(`\r\x1b[K${label} … ${seconds()}  ${lastLine.slice(0, Math.max(0, process.stdout.columns - label.length - 12))}`)
  const timer = process.stdout.isTTY ? setInterval(draw, 250) : undefined
  if (!timer) console.log(`${label} …`)
  try {
    await work()
    console.log(`${timer ? '\r\x1b[K' : ''}${label}: done in ${seconds()}`)
  } catch (error) {
    console.log(`${timer ? '\r\x1b[K' : ''}${label}: ${error instanceof Missing ? 'left out' : 'failed'} after ${seconds()}`)
    throw error
  } finally { clearInterval(timer) }
}

/** Runs one step if it is wanted and possible; returns the sentence of what is missing, if anything is. */
async function perform(step, number, absent) {
  if (absent.has(step.needs)) { absent.add(step.id); return }
  if (done(step)) return
  lastLine = ''
  try {
    await show(`[${number}/${steps.length}] ${step.title}`, step.run)
    if (!step.there()) throw new Missing(`${step.title} did not arrive; see ${logPath}`)
    remember(step.id, step.key())
  } catch (error) {
    if (!(error instanceof Missing)) throw error
    absent.add(step.id)
    return error.message
  }
}

async function setup(quiet) {
  if (Number(process.versions.node.split('.')[0]) < 20) throw new Error(`miniai needs Node 20 or newer, and this is ${process.version}`)
  if (steps.every(done)) return quiet || console.log('Everything is installed.')
  mkdirSync(at('.cache'), { recursive: true })
  await lock()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, stop)
  const absent = new Set()
  try {
    for (const [i, step] of steps.entries()) {
      const sentence = await perform(step, i + 1, absent)
      if (sentence) console.log(`Note: ${sentence}.`)
    }
  } finally { rmSync(at(lockPath), { force: true }) }
}

setup(process.argv.includes('--quiet')).catch(error => {
  console.error(`Set-up stopped: ${error.message}. The whole output is in ${logPath}.`)
  process.exit(1)
})
