import assert from 'assert/strict'
import { spawnSync } from 'child_process'
import * as fs from 'fs'
import * as path from 'path'
import { project } from './project'

const { startKernel } = require('../scripts/kernel/client.cjs')

const home = path.join(__dirname, '..')
const { root } = project({})
const nbs = path.join(root, 'nbs'), kernelFile = path.join(root, 'scripts', 'kernel.cjs')
const modules = {
  base: `/** Twice \`x\`, whatever it is. */
export const twice = (x: number) => x * 2
export async function slow() {
  await new Promise(r => setTimeout(r, 5))

  throw new Error('slow fails')
}
`,
  top: `import { twice } from './base'
export { twice } from './base'
export const made = twice(21)
export function four(x: number) { return twice(twice(x)) }
`,
}
for (const name of ['kernel', 'kernel.cjs']) {
  fs.cpSync(path.join(home, 'scripts', name), path.join(root, 'scripts', name), { recursive: true })
}
fs.mkdirSync(path.join(root, 'miniai'))
for (const [name, text] of Object.entries(modules)) write(name, text)

/** Write a module, as an export does. */
function write(name: string, text: string) {
  fs.writeFileSync(path.join(root, 'miniai', `${name}.ts`), text)
}

interface Answer { reply: any, outputs: { type: string, content: any }[] }
interface Kernel {
  execute(code: string, options?: object): Promise<Answer>
  request(type: string, content: object): Promise<Answer>
  interrupt(): Promise<Answer>
  close(): Promise<void>
  child: { kill(signal: string): void }
  published: { type: string, content: any }[]
}

let kernel: Promise<Kernel> | undefined
const open = (): Promise<Kernel> => kernel ??= startKernel({ kernel: kernelFile, cwd: nbs })
after(async () => (await kernel)?.child.kill('SIGTERM'))
const run = async (code: string, options?: object) => (await open()).execute(code, options)
const sleep = (ms: number) => new Promise(resolve => setTimeout(resolve, ms))

/** The text of a cell that must succeed: what it printed, then its value. */
async function text(code: string) {
  const { reply, outputs } = await run(code)
  assert.equal(reply.status, 'ok', (reply.traceback ?? []).join('\n'))
  return outputs.map(o => o.content.text ?? o.content.data?.['text/plain'] ?? '').join('').trim()
}

/** The `error` message of a cell that must fail; the reply says the same. */
async function fails(code: string) {
  const { reply, outputs } = await run(code)
  const { content } = outputs.find(o => o.type === 'error') ?? assert.fail('no error message')
  const { ename, evalue, traceback } = content
  assert.deepEqual(reply, { ...reply, status: 'error', ename, evalue, traceback })
  return { ename, evalue, trace: traceback.join('\n') }
}

/** The error of a cell that is interrupted, as by an impatient learner, until it ends. */
async function interrupted(code: string, interrupt = (k: Kernel): unknown => k.interrupt()) {
  const k = await open(), timer = setInterval(() => interrupt(k), 400)
  try { return await fails(code) } finally { clearInterval(timer) }
}

/** Whether a process has ended; one that nobody asked for its result counts. */
function isGone(pid: number) {
  const file = `/proc/${pid}/stat`
  if (!fs.existsSync('/proc/self/stat')) return spawnSync('ps', ['-p', String(pid)]).status !== 0
  return !fs.existsSync(file) || /\) [ZX] /.test(fs.readFileSync(file, 'utf8'))
}

/** Wait for what must come true; a busy machine takes its time. */
async function until(isTrue: () => boolean) {
  for (let i = 0; i < 200 && !isTrue(); i++) await sleep(50)
  assert.ok(isTrue())
}

it('the kernel\'s JavaScript passes the strict type check', () => {
  const compiler = path.join(home, 'node_modules', 'typescript-native', 'bin', 'tsc')
  const options = '--ignoreConfig --noEmit --allowJs --strict --skipLibCheck --types node ' +
    '--target es2022 --module commonjs --moduleResolution bundler'
  const files = ['kernel.cjs', 'kernel/child.cjs', 'kernel/guard.cjs', 'kernel/client.cjs']
  const args = [compiler, ...options.split(' '), ...files.map(o => path.join(home, 'scripts', o))]
  const { stdout, status } = spawnSync(process.execPath, args, { cwd: home, encoding: 'utf8' })
  assert.equal(status, 0, stdout)
})

it('the kernel answers, and runs its first cell, within seconds of its start', async function () {
  const before = performance.now()
  await open()
  assert.equal(await text('1 + 1'), '2')
  assert.ok(performance.now() - before < 20000)
})

it('cells run in the notebook\'s folder and know it as __dirname', async () => {
  assert.equal(await text('process.cwd() + __filename.startsWith(__dirname)'), `${nbs}true`)
})

it('a module is imported by its name, type-checked, and knows its own file', async () => {
  assert.equal(await text(`import { four, made } from 'miniai/top'\nfour(1) + made`), '46')
  const { ename, evalue, trace } = await fails(`four('one')`)
  assert.equal(ename, 'TypeError')
  assert.equal(evalue, `Argument of type 'string' is not assignable to parameter of type 'number'.`)
  assert.match(trace, /cell \[\d+\] line 1:6 - .* \(TS2345\)\n {4}four\('one'\)\n {9}~~~~~$/)
  write('where', 'export const file = __filename, folder = __dirname\n')
  assert.equal(await text(`import { file, folder } from 'miniai/where'\nfile + ' ' + folder`),
    `${path.join(root, 'miniai', 'where.ts')} ${path.join(root, 'miniai')}`)
})

it('an export is live in the next cell, for dependents and names imported before', async () => {
  assert.equal(await text(`import { four, made, twice } from 'miniai/top'\nfour(1) + made`), '46')
  write('base', modules.base.replace('x * 2', 'x * 3'))
  assert.equal(await text('twice(1) + four(1) + made'), String(3 + 9 + 63))
  write('base', modules.base.replace('x: number', 'x: string').replace('x * 2', 'x.length'))
  assert.match((await fails('twice(1)')).evalue, /'number' is not assignable to .* 'string'/)
  write('base', modules.base)
  assert.equal(await text('twice(1) + four(1) + made'), '48')
})

it('a changed module may import one that no cell has asked for', async () => {
  await text(`import { made } from 'miniai/top'`)
  write('other', 'export const other = 8\n')
  write('base', `export { other } from './other'\n` + modules.base)
  assert.equal(await text(`import { other } from 'miniai/base'\nother + made`), '50')
  write('base', modules.base)
})

it('a module written after its import failed is found by the next cell', async () => {
  const { evalue } = await fails(`import { fresh } from 'miniai/fresh'`)
  assert.match(evalue, /^Cannot find module 'miniai\/fresh'; its notebook .* "npm run export"$/)
  write('fresh', 'export const fresh = 7\n')
  assert.equal(await text(`import { fresh } from 'miniai/fresh'\nfresh`), '7')
})

it('a module that throws when loaded fails who imports it, and nobody else', async () => {
  await text(`import { twice } from 'miniai/top'`)
  write('base', `throw new Error('half written')\n` + modules.base)
  assert.equal(await text('twice(1)'), '2')
  const { trace } = await fails(`import { twice } from 'miniai/top'`)
  assert.match(trace, /half written\n +at miniai\/base\.ts:1:7/)
  write('base', modules.base)
  assert.equal(await text(`import { twice } from 'miniai/top'\ntwice(1)`), '2')
})

it('a type error in a module names its line', async () => {
  write('wrong', `export const a = 1\nexport const b: string = a\n`)
  const { trace } = await fails(`import { b } from 'miniai/wrong'`)
  assert.match(trace, /miniai\/wrong\.ts:2:14 - Type 'number'/)
})

it('"export" in a cell is refused with advice', async () => {
  const { trace } = await fails('export const a = 1')
  assert.match(trace, /^TypeError: a cell needs no "export".*\n.*:14/)
})

it('a cell over which TypeScript itself gives up is a syntax error with its place', async () => {
  await run('const before = 1')
  const { trace } = await fails('function f( { return 1')
  assert.match(trace, /^SyntaxError: ':' expected\.\ncell \[\d+\] line 1:22 - /)
  assert.equal((await run('before')).reply.status, 'ok')
})

it('an error deep in a package is told with the call and the line of the cell', async () => {
  const { reply } = await run(`import * as tf from '@tensorflow/tfjs-core'
const deep = (n: number, f: () => void): void => n ? tf.tidy(() => deep(n - 1, f)) : f()`)
  assert.equal(reply.status, 'ok', reply.evalue)
  const { trace } = await fails('deep(5, () => { throw new Error("down here") })')
  const frames = trace.split('\n').slice(1)
  assert.match(frames[0], /^ +at cell \[\d+\] line 1: deep\(5/)
  assert.match(frames.at(-1)!, /^ +at cell \[\d+\] line 1: deep\(5/)
  const isInside = frames.map((o: string) => o.includes('node_modules'))
  assert.ok(isInside.includes(true), 'the call into the package is shown')
  assert.ok(!isInside.some((o: boolean, i: number) => o && isInside[i - 1]), trace)
})

it('a trace names cells and modules by their lines, through awaits', async () => {
  const { reply } = await run(`import { slow } from 'miniai/base'
function first() {

  throw new TypeError('first')
}`)
  const n = reply.execution_count, { ename, evalue, trace } = await fails('\nfirst()')
  assert.deepEqual([ename, evalue], ['TypeError', 'first'])
  assert.equal(trace, `TypeError: first
    at first (cell [${n}] line 4: throw new TypeError('first'))
    at cell [${n + 1}] line 2: first()`)
  assert.equal((await fails('const a = 1\nawait slow()')).trace, `Error: slow fails
    at slow (miniai/base.ts:6:9)
    at async cell [${n + 2}] line 2: await slow()`)
})

it('what is thrown need not be an Error, and its cause is told', async () => {
  assert.equal((await fails(`throw { code: 3 }`)).evalue, '{ code: 3 }')
  const { trace } = await fails(`throw new Error('outer', { cause: new Error('inner') })`)
  assert.match(trace, /outer[^]*cause\]: Error: inner/)
})

it('a cell after a failed one runs, whenever it is sent', async () => {
  const first = run(`throw new Error('x')`)
  await first
  assert.equal(await text('2'), '2')
})

it('cells sent with a failing one are not run, unless stop_on_error is false', async () => {
  const [, a, b] = await Promise.all([run(`throw new Error('x')`), run('var ran = 1'), run('2')])
  assert.deepEqual([a.reply.status, b.reply.status], ['aborted', 'aborted'])
  const [, c] = await Promise.all([run(`throw new Error('x')`, { stop_on_error: false }), run('3')])
  assert.equal(c.reply.status, 'ok')
  const [, d] = await Promise.all([run(`const x: string = 1`), run('4')])
  assert.equal(d.reply.status, 'aborted')
})

it('a failed cell keeps what it had set, and what it had not set keeps its old value', async () => {
  await text('let kept = 1, old = 2')
  await fails(`let kept = 'new'\nlet old = (() => { throw new Error('no') })() as string`)
  assert.equal(await text('kept.length + old'), '5')
})

it('a property is taken out under another name, whatever earlier cells declared', async () => {
  await text(`type Item = { label: number[], inside: { size: number }, exports?: string }
    const label = 'outer', item: Item = { label: [1], inside: { size: 2 } }`)
  assert.equal(await text('const { label: [l], inside: { size: n }, ...more } = item\nl + n'), '3')
  assert.equal(await text(`const take = ({ label: [m], exports: k = label }: Item) => [m, k]
    const all = [take(item)]
    for (const { label: own, inside: { size } } of [item]) all.push([size, own.length])
    JSON.stringify(all)`), '[[1,"outer"],[2,1]]')
})

it('{ name } of an earlier cell is its variable or import, when the line runs', async () => {
  await text(`import { basename } from 'path'
    import * as paths from 'path'
    let width = 1, height = 2`)
  assert.equal(await text(`const sizes = () => ({ width, height, basename, paths, Math })
    width = 3
    const s = sizes()
    s.width + s.height + s.basename('/a') + s.paths.sep + s.Math.max(4)`), '5a/4')
  assert.equal(await text(`const inner = (width: string) => ({ width, height }), r = inner('w')
    r.width + r.height`), 'w2')
  assert.equal(await text(`const wide: { width: number, height?: number } = { width: 7 };
    ({ width, height = width + 1 } = wide)
    for ({ width } of [{ width: width + 1 }]);
    [width, height].join()`), '8,8')
  assert.match((await fails('const o = { width, x: nothing }')).trace, /line 1:23 - Cannot/)
  const { trace } = await fails('const o = {\n  width,\n  x: [height].at(9)!.toFixed() }')
  assert.match(trace, /TypeError.*\n.*cell \[\d+\] line 3:/)
})

it('an unhandled rejection and a throw from a timer fail their cell', async () => {
  assert.equal((await fails(`void Promise.reject(new RangeError('lost'))`)).ename, 'RangeError')
  const timer = `setTimeout(() => { throw new Error('late') }, 20)\n`
  const { trace } = await fails(timer + `await new Promise(r => setTimeout(r, 500))`)
  assert.match(trace, /Error: late\n.*cell \[\d+\] line 1: setTimeout/)
})

it('a throw after the end of the last cell is published as its error', async () => {
  const k = await open()
  await text(`setTimeout(() => { throw new Error('afterwards') }, 50); 0`)
  await until(() => k.published.some(o => o.type === 'error' && o.content.evalue === 'afterwards'))
})

it('interrupt ends a loop that awaits, runs its finally, and nothing of it goes on', async () => {
  await text(`let i = 0, isClean = false
    const nap = (ms: number) => new Promise(r => setTimeout(r, ms))
    async function fit() { try { for (;;) { await nap(10); i++ } } finally { isClean = true } }`)
  assert.equal((await interrupted('await fit()')).ename, 'Interrupted')
  assert.equal(await text('const before = i; await nap(200); [isClean, i - before]'), '[ true, 0 ]')
})

it('interrupt ends a loop over an async iterator and its source', async () => {
  await text(`let closed = false
    const nap = (ms: number) => new Promise(r => setTimeout(r, ms))
    async function* ticks() {
      try { for (;;) { await nap(10); yield 1 } } finally { closed = true }
    }`)
  assert.equal((await interrupted('for await (const t of ticks()) void t')).ename, 'Interrupted')
  assert.equal(await text('closed'), 'true')
})

it('interrupt aborts the signal that libraries are given', async () => {
  await text(`const signal = (globalThis as any)[Symbol.for('miniai.interrupt')] as AbortSignal`)
  await interrupted('await new Promise(() => {})')
  assert.equal(await text('signal.aborted'), 'true')
})

for (const [what, code] of [
  ['a busy loop', 'for (;;) {}'],
  ['a busy loop after an await', 'await new Promise(r => setTimeout(r, 1)); for (;;) {}'],
  ['a loop that awaits nothing', 'for (;;) await null'],
]) {
  it(`interrupt ends ${what}, tells its line, and variables live on`, async () => {
    await text('let alive = 5')
    const { trace } = await interrupted(code)
    assert.match(trace, /^Interrupted: the cell was interrupted\n.*cell \[\d+\] line 1: /)
    assert.equal(await text('alive'), '5')
  })
}

it('interrupt inside tf.tidy leaves tfjs outside of it', async () => {
  await text(`import * as tf from '@tensorflow/tfjs-core'`)
  await interrupted('tf.tidy(() => { for (;;); })')
  assert.equal(await text('tf.engine().state.scopeStack.length'), '0')
})

it('SIGINT interrupts like the message', async () => {
  const sigint = (k: Kernel) => k.child.kill('SIGINT')
  assert.equal((await interrupted('await new Promise(() => {})', sigint)).ename, 'Interrupted')
})

it('ten thousand printed lines arrive, in order, in few messages', async () => {
  const { outputs } = await run('for (let i = 0; i < 10000; i++) console.log(i)')
  const streams = outputs.filter(o => o.type === 'stream')
  const lines = streams.map(o => o.content.text).join('').trim().split('\n')
  assert.deepEqual(lines, [...Array(10000).keys()].map(String))
  assert.ok(streams.length < 200, `${streams.length} messages`)
})

it('a program that a cell starts and that says nothing leaves no empty output', async () => {
  const { outputs } = await run(`import { execFileSync } from 'child_process'
    const two = Number(execFileSync(process.execPath, ['-p', '2']))`)
  assert.deepEqual(outputs.filter(o => o.type === 'stream'), [])
})

it('a display keeps all its MIME types, from a module too; updates end in the last', async () => {
  write('show', `const jupyter = require('tslab/dist/jupyter')
export const show = (data: object, update: boolean) =>
  jupyter.lastWriteDisplayData({ data, metadata: {}, transient: { display_id: 'one' } }, update)
`)
  const { outputs } = await run(`import { show } from 'miniai/show'
    show({ 'text/html': '<b>0</b>', 'text/plain': '0' }, false)
    for (let i = 1; i <= 20000; i++) show({ 'text/plain': String(i) }, true)`)
  const shown = outputs.filter(o => o.type !== 'execute_input')
  assert.deepEqual(shown[0].content.data, { 'text/html': '<b>0</b>', 'text/plain': '0' })
  assert.deepEqual(shown.at(-1), { type: 'update_display_data',
    content: { data: { 'text/plain': '20000' }, metadata: {}, transient: { display_id: 'one' } } })
})

it('a value shows its own face, the way Deno asks for it', async () => {
  const { outputs } = await run(`const face = async () => ({ 'text/html': '<i>x</i>' })
    const o = { [Symbol.for('Jupyter.display')]: face }
    o`)
  assert.deepEqual(outputs.at(-1)?.content.data, { 'text/html': '<i>x</i>' })
})

it('for await and await stand at the top of a cell', async () => {
  assert.equal(await text('for await (const x of [1, Promise.resolve(2)]) console.log(x)'), '1\n2')
})

it('what a started program prints belongs to the cell; logs of TensorFlow do not', async () => {
  const log = '2026-01-01 00:00:00.000000: I tensorflow/core/util/port.cc:113] oneDNN custom'
  assert.equal(await text(`import { execSync } from 'child_process'
    execSync('echo out; echo "${log}" >&2', { stdio: 'inherit' })
    await new Promise(r => setTimeout(r, 100))`), 'out')
})

/** Ask about `code` with the cursor at `cursor_pos`. */
async function ask(what: string, code: string, cursor_pos = code.length) {
  const { reply } = await (await open()).request(`${what}_request`, { code, cursor_pos })
  return reply
}

it('Shift-Tab shows the documentation of a module\'s function', async () => {
  await text(`import { twice } from 'miniai/base'`)
  const { data } = await ask('inspect', 'twice(1)', 3)
  const documentation = /twice\(x: number\): number[^]*Twice `x`, whatever it is\./
  assert.match(data['text/plain'], documentation)
  assert.match((await ask('inspect', 'twice(Math.abs(1), ', 19)).data['text/plain'], documentation)
})

it('Tab completes members, exported names and modules', async () => {
  assert.deepEqual((await ask('complete', 'Math.ab')).matches, ['abs'])
  const all = await ask('complete', `import * as top from 'miniai/top'\ntop.fo`)
  assert.deepEqual(all.matches, ['four'])
  assert.deepEqual((await ask('complete', `import { fo } from 'miniai/top'`, 11)).matches, ['four'])
})

it('Tab completes the path of an import from what is typed of it', async () => {
  const { matches, cursor_start, cursor_end } = await ask('complete', `import { four } from 'miniai/to`)
  assert.deepEqual({ matches, cursor_start, cursor_end },
    { matches: ['top'], cursor_start: 29, cursor_end: 31 })
  assert.ok((await ask('complete', `import { four } from "miniai/`)).matches.includes('base'))
  assert.ok((await ask('complete', `import * as fs from 'f`)).matches.includes('fs/promises'))
})

it('a cell that fills the memory is told so, and the next one runs', async () => {
  const env = { ...process.env, NODE_OPTIONS: '--max-old-space-size=500' }
  const k: Kernel = await startKernel({ kernel: kernelFile, cwd: nbs, env })
  const { reply } = await k.execute('const xs = []\nfor (;;) xs.push(new Array(1e5).fill(0.5))')
  assert.match(reply.evalue, /^the process of this notebook ended: out of memory/)
  assert.equal((await k.execute('1 + 1')).reply.status, 'ok')
  await k.close()
})

const die = (how: string) => `process.kill(process.pid, '${how}'); await new Promise(() => {})`
const halfway = `require('fs').writeSync(4, '{"type":"stre'); ${die('SIGKILL')}`
for (const [what, code, reason] of [
  ['process.exit()', 'process.exit(3)', /process\.exit\(3\) was called/],
  ['a crash in native code', die('SIGSEGV'), /it crashed in native code \(SIGSEGV\)/],
  ['a kill in the middle of an output', halfway, /the system killed it/],
] as const) {
  it(`after ${what} the cell says why its process ended, and the next one runs`, async () => {
    const { ename, evalue } = await fails(code)
    assert.equal(ename, 'KernelDied')
    assert.match(evalue, reason)
    assert.equal(await text('1 + 1'), '2')
  })
}

it('a kernel without its packages says what to do', () => {
  const bare = project({})
  fs.rmSync(path.join(bare.root, 'node_modules'))
  fs.cpSync(path.join(root, 'scripts'), path.join(bare.root, 'scripts'), { recursive: true })
  const args = [path.join(bare.root, 'scripts', 'kernel.cjs'), 'none.json']
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  assert.equal(status, 1)
  assert.match(stderr, /^The miniai kernel ended: Cannot find module .*"npm run setup" installs/)
})

it('the kernel and its process end when asked', async () => {
  const pid = Number(await text('process.pid'))
  await (await open()).close()
  await until(() => isGone(pid))
})

it('the kernel ends when who started it is gone', async () => {
  const client = JSON.stringify(path.join(home, 'scripts', 'kernel', 'client.cjs'))
  const options = JSON.stringify({ kernel: kernelFile, cwd: nbs })
  const code = `require(${client}).startKernel(${options})
    .then(k => { console.log(k.child.pid); process.kill(process.pid, 'SIGKILL') })`
  const pid = Number(spawnSync(process.execPath, ['-e', code], { encoding: 'utf8' }).stdout)
  assert.ok(pid)
  await until(() => isGone(pid))
})

it('the process of the cells ends when the kernel is killed', async () => {
  const k: Kernel = await startKernel({ kernel: kernelFile, cwd: nbs })
  const pid = Number((await k.execute('process.pid')).outputs.at(-1)?.content.data['text/plain'])
  const running = assert.rejects(k.execute('for (;;) {}'), /the kernel ended/)
  await sleep(300)
  k.child.kill('SIGKILL')
  await running
  await until(() => isGone(pid))
})
