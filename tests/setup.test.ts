import { strict as assert } from 'node:assert'
import { spawn, spawnSync } from 'node:child_process'
import {
  chmodSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { temporary } from './folders'

const repo = join(__dirname, '..'), machine = `${process.platform}_${process.arch}`
const koffi = join(repo, 'node_modules/@koromix', `koffi-${machine.replace('_', '-')}`)
const addon = join(koffi, machine, 'koffi.node')
const unix = process.platform === 'win32' ? it.skip : it

// Stand-ins for npm, Python, compiler and card: they make the files that the real ones make,
// slowly enough to be killed midway.
const stubs = {
  'npm-cli.js': `const fs = require('fs')
    fs.mkdirSync('node_modules/@tensorflow/tfjs-node-gpu', { recursive: true })
    setTimeout(() => fs.writeFileSync('node_modules/.package-lock.json', '{}'), 30)`,
  python3: `#!/bin/sh
    case "$*" in
      *"-m venv"*)
        for last; do :; done
        rm -rf "$last"; mkdir -p "$last/bin"; sleep 0.03; cp "$0" "$last/bin/python";;
      *lab.txt*) mkdir -p .venv/share; sleep 0.03; mkdir -p .venv/share/jupyter/lab;;
      *cpu.txt*|*cuda.txt*)
        dir=.venv/lib/python3.11/site-packages/tensorflow
        mkdir -p $dir; touch $dir/libtensorflow_cc.so.2
        sleep 0.03; touch $dir/libtensorflow_framework.so.2;;
    esac`,
  'c++': `#!/bin/sh
    while [ $# -gt 0 ]; do
      if [ "$1" = -o ]; then head -c 1000 "${addon}" > "$2"; sleep 0.03; cp "${addon}" "$2"; fi
      shift
    done`,
  'nvidia-smi': '#!/bin/sh',
}
type Stub = keyof typeof stubs

const which = (name: string) =>
  process.env.PATH!.split(':').map(dir => join(dir, name)).find(path => existsSync(path))!

/** A folder with the set-up, what it reads, and the named stand-ins as all there is on the PATH. */
function scratch(...names: Stub[]) {
  const root = temporary(), bin = join(root, 'bin')
  mkdirSync(bin)
  for (const name of ['setup.mjs', 'setup', 'requirements']) {
    cpSync(join(repo, 'scripts', name), join(root, 'scripts', name), { recursive: true })
  }
  writeFileSync(join(root, 'package-lock.json'), '{}')
  for (const name of ['sh', 'mkdir', 'rm', 'cp', 'touch', 'sleep', 'head']) {
    symlinkSync(which(name), join(bin, name))
  }
  const add = (name: Stub, text = stubs[name]) => {
    writeFileSync(join(bin, name), text)
    chmodSync(join(bin, name), 0o755)
  }
  for (const name of names) add(name)
  const env = { PATH: bin, npm_execpath: join(bin, 'npm-cli.js') }
  const args = [join(root, 'scripts/setup.mjs')]
  const run = (...flags: string[]) =>
    spawnSync(process.execPath, [...args, ...flags], { cwd: root, env, encoding: 'utf8' })
  return { root, env, args, run, add }
}

/** The steps that a run took to their end, by their numbers. */
const stepsDone = (said: string) => said.match(/(?<=^\[)\d(?=\/6\] .*: done)/gm)?.join('') ?? ''

unix('setup lists each step, and a second run does nothing', () => {
  const { root, run } = scratch('npm-cli.js', 'python3', 'c++'), first = run()
  assert.equal(first.status, 0, first.stdout + first.stderr)
  assert.equal(stepsDone(first.stdout), '123456', first.stdout)
  const file = join(root, '.venv/share/jupyter/kernels/miniai/kernel.json')
  const spec = JSON.parse(readFileSync(file, 'utf8'))
  assert.equal(spec.display_name, 'miniai (TypeScript)')
  assert.ok(!JSON.stringify(spec).includes(root), 'the kernelspec names no folder of this machine')
  assert.equal(run().stdout, 'Everything is installed.\n')
})

unix('setup repeats a step whose result was deleted or whose pins changed', () => {
  const { root, run } = scratch('npm-cli.js', 'python3', 'c++')
  run()
  rmSync(join(root, 'node_modules'), { recursive: true })
  writeFileSync(join(root, 'scripts/requirements/lab.txt'), 'jupyterlab==0')
  assert.equal(stepsDone(run().stdout), '136')
})

unix('setup takes the wheel with CUDA once there is a card, and keeps it when that is gone', () => {
  const { root, run, add } = scratch('npm-cli.js', 'python3', 'c++')
  run()
  add('nvidia-smi')
  assert.equal(stepsDone(run().stdout), '56')
  const log = readFileSync(join(root, '.cache/setup.json'), 'utf8')
  assert.match(log, /"tensorflow": "\w+ cuda"/)
  rmSync(join(root, 'bin/nvidia-smi'))
  assert.equal(run().stdout, 'Everything is installed.\n')
})

/** A Python whose pip says `text` when it is asked for TensorFlow, and fails. */
const failing = (text: string) => stubs.python3.replace('*cpu.txt*|',
  `*cpu.txt*) echo >> asked; echo "${text}" >&2; exit 1;;\n*never*|`)
const asked = (root: string) => readFileSync(join(root, 'asked'), 'utf8').length
const noWheel = 'ERROR: No matching distribution found for tensorflow-cpu==2.21.0'

unix('setup asks once for a wheel that nobody makes for the machine, until its pins change', () => {
  const { root, run, add } = scratch('npm-cli.js', 'c++')
  add('python3', failing(noWheel))
  const note = `Note: TensorFlow could not be installed: ${noWheel}.`
  assert.ok(run('--quiet').stdout.includes(note))
  assert.equal(run('--quiet').stdout, '')
  assert.equal(run().stdout, `Everything else is installed.\n${note}\n`)
  assert.equal(asked(root), 1)
  writeFileSync(join(root, 'scripts/requirements/cpu.txt'), 'tensorflow-cpu==3')
  assert.ok(run().stdout.includes(note))
  assert.equal(asked(root), 2)
})

unix('setup asks again for a wheel that a broken connection kept away', () => {
  const { root, run, add } = scratch('npm-cli.js', 'c++')
  add('python3', failing(`WARNING: Retrying (Retry(total=4)) after connection broken\n${noWheel}`))
  run()
  run()
  assert.equal(asked(root), 2)
})

unix('setup without Python goes on, and says what is missing in one sentence', () => {
  const { status, stdout } = scratch('npm-cli.js', 'c++').run()
  assert.equal(status, 0)
  assert.match(stdout, /^Note: Python 3\.10 or newer was not found: .* computes on WebAssembly\.$/m)
  assert.equal(stdout.match(/Note:/g)?.length, 1)
})

unix('setup without a C++ compiler goes on, and says what is missing in one sentence', () => {
  const { status, stdout } = scratch('npm-cli.js', 'python3').run()
  assert.equal(status, 0)
  assert.match(stdout, /^Note: no C\+\+ compiler was found \(.*\): .*$/m)
  assert.equal(stdout.match(/Note:/g)?.length, 1)
})

unix('setup with a failing npm stops with its sentence and exit 1', () => {
  const { run, add } = scratch()
  const said = ['code ENOTFOUND', 'getaddrinfo ENOTFOUND registry', 'A complete log of this run']
  const text = said.map(line => `npm error ${line}`).join('\\n')
  add('npm-cli.js', `console.error('${text}'); process.exit(1)`)
  const { status, stderr } = run()
  assert.equal(status, 1)
  assert.match(stderr, /^Set-up stopped: npm error getaddrinfo ENOTFOUND registry\. The whole/m)
})

/** Every file that a finished name stands for is whole. */
function assertWhole(root: string) {
  const jupyter = '.venv/share/jupyter'
  for (const name of ['.cache/setup.json', `${jupyter}/kernels/miniai/kernel.json`,
    `${jupyter}/lab/settings/overrides.json`]) {
    if (existsSync(join(root, name))) JSON.parse(readFileSync(join(root, name), 'utf8'))
  }
  const lib = 'node_modules/@tensorflow/tfjs-node-gpu/lib/napi-v8'
  const binding = join(root, lib, 'tfjs_binding.node')
  if (existsSync(binding)) assert.deepEqual(readFileSync(binding), readFileSync(addon))
}

/** Remove a folder in which what a killed set-up had started may still be writing. */
async function remove(path: string, tries = 20): Promise<void> {
  try { rmSync(path, { recursive: true, force: true }) } catch (e) {
    if (!tries) throw e
    await new Promise(resolve => setTimeout(resolve, 20))
    return remove(path, tries - 1)
  }
}

unix('setup killed 50 times leaves nothing half-written, the next completes', async function () {
  this.timeout(180000)
  const { root, env, args, run } = scratch('npm-cli.js', 'python3', 'c++'), start = Date.now()
  run()
  const whole = Date.now() - start
  for (let kills = 0; kills < 50;) {
    for (const part of ['node_modules', '.venv', '.cache'].filter(() => Math.random() < 0.4)) {
      await remove(join(root, part))
    }
    const child = spawn(process.execPath, args, { cwd: root, env, stdio: 'ignore' })
    const ended = new Promise<NodeJS.Signals | null>(resolve =>
      child.on('exit', (_, signal) => resolve(signal)))
    setTimeout(() => child.kill('SIGKILL'), Math.random() * whole)
    if (await ended === 'SIGKILL') kills++
    assertWhole(root)
  }
  const last = run()
  assert.equal(last.status, 0, last.stdout + last.stderr)
  assertWhole(root)
  assert.equal(run().stdout, 'Everything is installed.\n')
})
