import { strict as assert } from 'node:assert'
import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const repo = join(__dirname, '..')
const addon = join(repo, 'node_modules/@koromix', `koffi-${process.platform}-${process.arch}`, `${process.platform}_${process.arch}/koffi.node`)
const unix = process.platform === 'win32' ? it.skip : it

/** Stand-ins for npm, Python and the compiler: they make the files that the real ones make, slowly enough to be killed midway. */
const stubs = {
  'npm-cli.js': `require('fs').mkdirSync('node_modules/@tensorflow/tfjs-node-gpu', { recursive: true })
    setTimeout(() => require('fs').writeFileSync('node_modules/.package-lock.json', '{}'), 30)`,
  python3: `#!/bin/sh
case "$*" in
  *"-m venv"*) for last; do :; done; rm -rf "$last"; mkdir -p "$last/bin"; sleep 0.03; cp "$0" "$last/bin/python";;
  *lab.txt*) mkdir -p .venv/share; sleep 0.03; mkdir -p .venv/share/jupyter/lab;;
  *cpu.txt*) dir=.venv/lib/python3.11/site-packages/tensorflow; mkdir -p $dir; touch $dir/libtensorflow_cc.so.2
    sleep 0.03; touch $dir/libtensorflow_framework.so.2;;
esac`,
  'c++': `#!/bin/sh
while [ $# -gt 0 ]; do if [ "$1" = -o ]; then head -c 1000 "${addon}" > "$2"; sleep 0.03; cp "${addon}" "$2"; fi; shift; done`
}

const made: string[] = []
after(() => made.forEach(root => rmSync(root, { recursive: true, force: true, maxRetries: 5 })))

/** A folder with the set-up, what it reads, and the named stand-ins as the only programs on the PATH. */
function scratch(...names: (keyof typeof stubs)[]) {
  const root = mkdtempSync(join(tmpdir(), 'miniai-setup-')), bin = join(root, 'bin')
  made.push(root)
  mkdirSync(bin)
  mkdirSync(join(root, 'scripts'))
  cpSync(join(repo, 'scripts/setup.mjs'), join(root, 'scripts/setup.mjs'))
  cpSync(join(repo, 'scripts/requirements'), join(root, 'scripts/requirements'), { recursive: true })
  writeFileSync(join(root, 'package-lock.json'), '{}')
  for (const name of ['sh', 'mkdir', 'rm', 'cp', 'touch', 'sleep', 'head']) symlinkSync(which(name), join(bin, name))
  for (const name of names) {
    writeFileSync(join(bin, name), stubs[name])
    chmodSync(join(bin, name), 0o755)
  }
  const env = { PATH: bin, npm_execpath: join(bin, 'npm-cli.js') }
  const args = [join(root, 'scripts/setup.mjs')]
  return { root, env, args, run: () => spawnSync(process.execPath, args, { cwd: root, env, encoding: 'utf8' }) }
}

const which = (name: string) => process.env.PATH!.split(':').map(dir => join(dir, name)).find(path => existsSync(path))!

unix('setup lists each step, and a second run does nothing', () => {
  const { root, run } = scratch('npm-cli.js', 'python3', 'c++')
  const first = run()
  assert.equal(first.status, 0, first.stdout + first.stderr)
  assert.deepEqual(first.stdout.match(/^\[\d\/6\] .*(?=: done)/gm)?.length, 6, first.stdout)
  const spec = JSON.parse(readFileSync(join(root, '.venv/share/jupyter/kernels/miniai/kernel.json'), 'utf8'))
  assert.equal(spec.display_name, 'miniai (TypeScript)')
  assert.ok(!JSON.stringify(spec).includes(root), 'the kernelspec names no folder of this machine')
  assert.equal(run().stdout, 'Everything is installed.\n')
})

unix('setup repeats a step whose result was deleted or whose pins changed', () => {
  const { root, run } = scratch('npm-cli.js', 'python3', 'c++')
  run()
  rmSync(join(root, 'node_modules'), { recursive: true })
  writeFileSync(join(root, 'scripts/requirements/lab.txt'), 'jupyterlab==0')
  const again = run().stdout
  assert.match(again, /\[1\/6\] npm packages: done/)
  assert.match(again, /\[3\/6\] JupyterLab: done/)
  assert.match(again, /\[6\/6\] TensorFlow binding for Node: done/)
  assert.doesNotMatch(again, /\[2\/6\]|\[5\/6\]/)
})

unix('setup without Python goes on, and says what is missing in one sentence', () => {
  const { root, run } = scratch('npm-cli.js', 'c++')
  const { status, stdout } = run()
  assert.equal(status, 0)
  assert.match(stdout, /^Note: Python 3\.10 or newer was not found: .* computes on WebAssembly\.$/m)
  assert.equal(stdout.match(/Note:/g)?.length, 1)
})

unix('setup without a C++ compiler goes on, and says what is missing in one sentence', () => {
  const { root, run } = scratch('npm-cli.js', 'python3')
  const { status, stdout } = run()
  assert.equal(status, 0)
  assert.match(stdout, /^Note: no C\+\+ compiler was found \(.*\): .*$/m)
  assert.equal(stdout.match(/Note:/g)?.length, 1)
})

unix('setup with a failing npm stops with its sentence and exit 1', () => {
  const { root, env, run } = scratch('npm-cli.js')
  writeFileSync(env.npm_execpath, `console.error('npm error code ENOTFOUND\\nnpm error getaddrinfo ENOTFOUND registry\\nnpm error A complete log of this run'); process.exit(1)`)
  const { status, stderr } = run()
  assert.equal(status, 1)
  assert.match(stderr, /^Set-up stopped: npm error getaddrinfo ENOTFOUND registry\. The whole output is in .*log\.$/m)
})

/** Every file that a finished name stands for is whole. */
function assertWhole(root: string) {
  for (const name of ['.cache/setup.json', '.venv/share/jupyter/kernels/miniai/kernel.json', '.venv/share/jupyter/lab/settings/overrides.json']) {
    if (existsSync(join(root, name))) JSON.parse(readFileSync(join(root, name), 'utf8'))
  }
  const binding = join(root, 'node_modules/@tensorflow/tfjs-node-gpu/lib/napi-v8/tfjs_binding.node')
  if (existsSync(binding)) assert.deepEqual(readFileSync(binding), readFileSync(addon))
}

unix('setup killed at 50 random moments leaves nothing half-written, and the next run completes', async function () {
  this.timeout(180000)
  const { root, env, args, run } = scratch('npm-cli.js', 'python3', 'c++')
  const start = Date.now()
  run()
  const whole = Date.now() - start
  for (let kills = 0; kills < 50;) {
    for (const part of ['node_modules', '.venv', '.cache'].filter(() => Math.random() < 0.4)) {
      rmSync(join(root, part), { recursive: true, force: true, maxRetries: 5 })
    }
    const child = spawn(process.execPath, args, { cwd: root, env, stdio: 'ignore' })
    const ended = new Promise<NodeJS.Signals | null>(resolve => child.on('exit', (_, signal) => resolve(signal)))
    setTimeout(() => child.kill('SIGKILL'), Math.random() * whole)
    if (await ended === 'SIGKILL') kills++
    assertWhole(root)
  }
  const last = run()
  assert.equal(last.status, 0, last.stdout + last.stderr)
  assertWhole(root)
  assert.equal(run().stdout, 'Everything is installed.\n')
})
