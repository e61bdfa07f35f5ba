// Opens the course in JupyterLab; arguments go on to it (`npm start -- --no-browser --port 8890`).
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const windows = process.platform === 'win32'
const python = join(root, '.venv', windows ? 'Scripts/python.exe' : 'bin/python')

if (!existsSync(join(root, '.venv/share/jupyter/kernels/miniai/kernel.json'))) {
  const advice = 'see the note above, mend it, and run npm start again'
  console.error(`JupyterLab is not installed: ${advice}.`)
  process.exit(1)
}

// The kernelspec says `node`: let it be the Node that runs this.
const env = { ...process.env, PATH: dirname(process.execPath) + delimiter + process.env.PATH }
const asRoot = process.getuid?.() === 0 ? ['--allow-root'] : []
const settings = [
  `--ServerApp.root_dir=${root}`, '--ServerApp.ip=127.0.0.1',
  '--LabApp.default_url=/lab/tree/nbs/01_files.ipynb',
  '--MultiKernelManager.default_kernel_name=miniai',
  '--Application.log_level=WARN', // its address is told in any case
]
console.log('JupyterLab starts; Ctrl-C, twice, ends it.')
const args = ['-m', 'jupyterlab', ...settings, ...asRoot, ...process.argv.slice(2)]
const lab = spawn(python, args, { cwd: root, env, stdio: 'inherit' })

// Ctrl-C reaches JupyterLab by itself; this process only waits for its answer.
process.on('SIGINT', () => {})
process.on('SIGTERM', () => lab.kill('SIGTERM'))
// a shell between npm and this process dies of the signal without passing it on
const parent = process.ppid
setInterval(() => { if (process.ppid !== parent) lab.kill('SIGTERM') }, 1000).unref()
lab.on('exit', (code, signal) => process.exit(signal ? 1 : code))
