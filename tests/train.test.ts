import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import * as fs from 'node:fs'
import * as path from 'node:path'
import { teller, train } from '../scripts/train'
import { project } from './project'

const home = path.join(__dirname, '..')
const begin = 'import { existsSync, writeFileSync } from "fs"\nconst run = process.env.MINIAI_RUN!'

/** Train a notebook of `cells` as `npm run train` does; whether all ran, and its folder. */
async function trained(cells: string[], folder?: string) {
  const { root } = project({ '01_a': [begin, ...cells] }), old = { ...process.env }
  const at = folder ?? path.join(root, 'runs', '01_a')
  try { return { isDone: await train(root, 'nbs/01_a.ipynb', at), at } } finally {
    process.env = old
  }
}

it('train runs a notebook at full size, slow cells too, and writes what came of it', async () => {
  const { isDone, at } = await trained(['//| slow\nconsole.log("full:", process.env.MINIAI_FULL)',
    'writeFileSync(run + "/a.safetensors", "model")', '1 + 1'])
  assert.ok(isDone)
  assert.deepEqual(fs.readdirSync(at).sort(), ['a.safetensors', 'log.txt'])
  assert.equal(fs.readFileSync(path.join(at, 'log.txt'), 'utf8'), '[2] full: 1\n[4] 2\n')
})

it('train goes on with the checkpoints of a notebook that failed, then removes them', async () => {
  const cells = ['const isSecond = existsSync(run + "/a.checkpoint")',
    'writeFileSync(run + "/a.checkpoint", "")',
    'if (!isSecond) throw new Error("power cut")', 'console.log("went on")']
  const first = await trained(cells)
  assert.ok(!first.isDone)
  assert.match(fs.readFileSync(path.join(first.at, 'log.txt'), 'utf8'), /Error: power cut/)
  const second = await trained(cells, first.at)
  assert.ok(second.isDone)
  assert.deepEqual(fs.readdirSync(first.at), ['log.txt'])
  const log = fs.readFileSync(path.join(first.at, 'log.txt'), 'utf8')
  assert.match(log, /Error: power cut[^]*--- goes on\n[^]*went on/)
  await trained(['1 + 1'], first.at)
  assert.equal(fs.readFileSync(path.join(first.at, 'log.txt'), 'utf8'), '[2] 2\n')
})

const fitting = [`import { tf, useBackend } from 'miniai/engine'
import { Callback, Learner, RecorderCB, resumable } from 'miniai/learner'
import { randn, seed } from 'miniai/random'
import { Dataset, getDls, Linear } from 'miniai/training'
await useBackend('cpu')
seed(1)
const x = randn([400, 4]), ds = new Dataset(x, x.sum(1).greater(0).toInt())
const recorder = new RecorderCB(), cbs = [recorder, ...resumable('line')]
const learn = new Learner(new Linear(4, 2), getDls(ds, ds, { bs: 8 }), { cbs })
console.log('begins', process.pid)`,
`const order = 200, isFirst = !existsSync(run + '/line.checkpoint')
const stop = ({ epoch }: Learner) => {
  if (isFirst && epoch === 2) return new Promise<void>(done => setTimeout(done, 60_000))
}
const waiting = Object.assign(new Callback(), { order, beforeEpoch: stop })
await learn.fit(4, { cbs: [waiting] })
console.log(recorder.losses.length, 'losses, least', Math.min(...recorder.losses))`]

it('train killed with -9 in a fit goes on with it, and with its log', async function () {
  this.timeout(300_000)
  const { root } = project({ '01_a': [begin, ...fitting] }), at = path.join(root, 'runs', '01_a')
  const name = path.relative(home, path.join(root, 'nbs/01_a.ipynb')) // with this project's modules
  const code = `void require('./scripts/train').train(...${JSON.stringify([home, name, at])})`
  const start = () => {
    const args = ['-r', './scripts/load.cjs', '-e', code]
    const child = spawn(process.execPath, args, { cwd: home, stdio: 'ignore' })
    const gone = new Promise(done => child.on('exit', (status, signal) => done(signal ?? status)))
    return { child, gone }
  }
  const { child, gone } = start(), log = () => fs.readFileSync(path.join(at, 'log.txt'), 'utf8')
  while (!fs.existsSync(path.join(at, 'line.checkpoint'))) {
    assert.equal(child.exitCode, null)
    await new Promise(done => setTimeout(done, 100))
  }
  child.kill('SIGKILL')
  assert.equal(await gone, 'SIGKILL')
  assert.match(log(), /^\[2\] begins \d+\n$/)
  assert.equal(await start().gone, 0)
  assert.match(log(), /^\[2\] begins .*\n--- goes on\n\[2\] begins .*\n\[3\] 200 losses, least 0\./)
  assert.deepEqual(fs.readdirSync(at).sort(), ['line.safetensors', 'log.txt'])
})

for (const isTTY of [true, false]) {
  it(`train repeats what cells say ${isTTY ? 'on a terminal' : 'in a log'}, bars too`, () => {
    const written: string[] = []
    const out = { isTTY, columns: 12, write: (o: string) => written.push(o) }
    const tell = teller(out as unknown as NodeJS.WriteStream, 0)
    const bar = (text: string) => ({ type: 'update_display_data',
      content: { data: { 'text/plain': text } } })
    tell(bar('epoch 1 of 5, loss 0.3'))
    tell({ type: 'stream', content: { name: 'stdout', text: 'said\n' } })
    tell({ type: 'stream', content: { name: 'stdout', text: 'more\n' } })
    const erase = '\r\x1b[K', line = 'epoch 1 of 5, loss 0.3'
    assert.deepEqual(written, isTTY ? [erase + line.slice(0, 11), `${erase}said\n`, 'more\n']
      : [`${line}\n`, 'said\n', 'more\n'])
  })
}
