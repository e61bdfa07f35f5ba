import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import * as path from 'node:path'
import { teller, train } from '../scripts/train'
import { project } from './project'

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
  assert.match(fs.readFileSync(path.join(first.at, 'log.txt'), 'utf8'), /went on/)
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
