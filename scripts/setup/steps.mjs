// What the course needs, step by step. A step is done once its key stands in the state and what
// it makes is `there`.
import { existsSync, mkdirSync, readdirSync, renameSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { run, succeeds } from './run.mjs'
import { at, forget, isWindows, Missing, put, read, Refused, root, sha, state } from './state.mjs'

const python = at('.venv', isWindows ? 'Scripts/python.exe' : 'bin/python')
const tfjs = at('node_modules/@tensorflow/tfjs-node-gpu')
const binding = join(tfjs, 'lib/napi-v8/tfjs_binding.node')
const session = 'scripts/setup/session.cc'
const kernelspec = '.venv/share/jupyter/kernels/miniai/kernel.json'
const labSettings = '.venv/share/jupyter/lab/settings/overrides.json'
const [lab, cpu, cuda] = ['lab', 'cpu', 'cuda'].map(o => `scripts/requirements/${o}.txt`)
const instead = 'the course computes on WebAssembly'
const without = `without it there is no JupyterLab and no TensorFlow, and ${instead}`

export const steps = [
  {
    id: 'npm', title: 'npm packages', key: () => sha(read('package-lock.json')),
    there: () => existsSync(at('node_modules/.package-lock.json')), run: npmPackages,
  },
  {
    id: 'venv', title: 'Python environment in .venv', key: () => 'venv 1',
    there: () => existsSync(python), run: venv,
  },
  {
    id: 'lab', title: 'JupyterLab', needs: 'venv', key: () => sha(read(lab)),
    there: () => existsSync(at('.venv/share/jupyter/lab')), run: () => pip('JupyterLab', '-r', lab),
  },
  {
    id: 'kernel', title: 'kernel “miniai (TypeScript)”', needs: 'lab',
    key: () => sha(kernelFiles().flat().join()), there: () => existsSync(at(kernelspec)),
    run: () => kernelFiles().forEach(file => put(...file)),
  },
  {
    id: 'tensorflow', title: 'TensorFlow library', needs: 'venv', key: wheel,
    there: () => Boolean(library()), run: tensorflow,
  },
  {
    id: 'binding', title: 'TensorFlow binding for Node', needs: 'tensorflow',
    key: () => sha(['package-lock.json', cpu, session].map(read).join()),
    there: () => existsSync(binding),
    run: buildBinding,
  },
]

async function npmPackages() {
  const npm = process.env.npm_execpath
  const [command, args] = npm ? [process.execPath, [npm]] : [isWindows ? 'npm.cmd' : 'npm', []]
  await run(command, [...args, 'ci', '--ignore-scripts', '--no-audit', '--no-fund'])
}

/** The first Python of at least 3.10 on the PATH that has `venv`. */
function findPython() {
  const names = ['python3', 'python', ...[14, 13, 12, 11, 10].map(minor => `python3.${minor}`)]
  const can = code => name => succeeds(name, ['-c', code])
  const found = names.filter(can('import sys; sys.exit(sys.version_info < (3, 10))'))
  if (!found.length) throw new Missing(`Python 3.10 or newer was not found: ${without}`)
  const whole = found.find(can('import venv, ensurepip'))
  const advice = 'on Debian: apt-get install python3-venv'
  if (!whole) throw new Missing(`Python has no venv module (${advice}): ${without}`)
  return whole
}

async function venv() {
  await run(findPython(), ['-m', 'venv', '--clear', at('.venv')])
  forget('lab', 'kernel', 'tensorflow', 'binding')
}

/** What pip says where no wheel fits the machine; without a network it says so, too. */
const isRefusal = ({ tail = '' }) =>
  /No matching distribution/.test(tail) && !/Retrying|connection/i.test(tail)

async function pip(what, ...args) {
  const quiet = ['--disable-pip-version-check', '--progress-bar', 'off']
  try { await run(python, ['-m', 'pip', 'install', ...quiet, ...args]) } catch (error) {
    const Kind = isRefusal(error) ? Refused : Missing
    throw new Kind(`${what} could not be installed: ${error.message}`)
  }
}

let gpu

/** Whether there is an NVIDIA card; asked once. */
const hasGpu = () => gpu ??= succeeds('nvidia-smi', ['-L'])

/** The key of the TensorFlow wheel: a card that is new here changes it, one that went does not. */
function wheel() {
  const pins = sha(read(cpu) + read(cuda)), onCard = `${pins} cuda`
  return state().tensorflow === onCard || hasGpu() ? onCard : pins
}

/** Without a GPU only the wheel's library is used, so its Python dependencies stay out. */
async function tensorflow() {
  if (isWindows) {
    throw new Missing(`on Windows TensorFlow is not built (use WSL for it), and ${instead}`)
  }
  forget('binding')
  const isOnCard = wheel().endsWith('cuda')
  // both wheels bring the same files, so one has to go first
  await run(python, ['-m', 'pip', 'uninstall', '-y', isOnCard ? 'tensorflow-cpu' : 'tensorflow'])
  if (isOnCard) await pip('TensorFlow with CUDA', '-r', cuda)
  else await pip('TensorFlow', '--no-deps', '-r', cpu)
}

/** The wheel's folder with libtensorflow_cc, or undefined. */
function library() {
  const lib = at('.venv', isWindows ? 'Lib' : 'lib')
  const pythons = () => existsSync(lib) ? readdirSync(lib).map(name => join(lib, name)) : []
  const folders = (isWindows ? [lib] : pythons()).map(o => join(o, 'site-packages/tensorflow'))
  return folders.find(dir => existsSync(dir) && libraries(dir).length === 2)
}

const libraries = dir => readdirSync(dir)
  .filter(name => /^libtensorflow_(cc|framework)\.(so\.2|2\.dylib)$/.test(name)).sort()

function findCompiler() {
  const names = [process.env.CXX, 'c++', 'g++', 'clang++']
  const found = names.find(name => name && succeeds(name, ['--version']))
  const advice = 'on Debian: apt-get install g++'
  const effect = `without it TensorFlow cannot be used, and ${instead}`
  if (!found) throw new Missing(`no C++ compiler was found (${advice}): ${effect}`)
  return found
}

/**
 * Compiles tfjs-node's two C++ files and ours beside them, which chooses a session's threads; they
 * use only the wheel's C interface, of 2.9 or newer.
 */
async function buildBinding() {
  const dir = library(), made = join(dirname(binding), 'new.node')
  const isMac = process.platform === 'darwin', origin = isMac ? '@loader_path' : '$ORIGIN'
  const up = '../../../../../' + dir.slice(root.length + 1)
  const compiler = findCompiler()
  mkdirSync(dirname(binding), { recursive: true })
  await run(compiler, [
    '-std=c++17', '-O2', '-fPIC', '-shared', '-DNAPI_VERSION=8',
    `-I${at('node_modules/node-api-headers/include')}`, `-I${join(dir, 'include')}`,
    '-DTF_NewSessionOptions=newSessionOptions', at(session),
    ...['tfjs_backend.cc', 'tfjs_binding.cc'].map(name => join(tfjs, 'binding', name)),
    '-o', made, ...libraries(dir).map(name => join(dir, name)), `-Wl,-rpath,${origin}/${up}`,
    ...(isMac ? ['-undefined', 'dynamic_lookup'] : []),
  ])
  try { await run(process.execPath, ['-e', 'require(process.argv[1])', made]) } catch (error) {
    throw new Missing(`TensorFlow does not load here (${error.message}), and ${instead}`)
  }
  renameSync(made, binding)
}

/** Kernelspec and lab settings, as [path, text]. */
function kernelFiles() {
  const spec = {
    // the folder of the spec, so that it stays valid when the project moves
    argv: ['node', '{resource_dir}/../../../../../scripts/kernel.cjs', '{connection_file}'],
    display_name: 'miniai (TypeScript)', language: 'typescript', interrupt_mode: 'signal',
    env: { TF_CPP_MIN_LOG_LEVEL: '3' },
  }
  const notification = { fetchNews: 'false', checkForUpdates: false }
  const settings = { '@jupyterlab/apputils-extension:notification': notification }
  const text = o => JSON.stringify(o, null, 2) + '\n'
  return [[kernelspec, text(spec)], [labSettings, text(settings)]]
}
