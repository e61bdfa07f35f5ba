import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import * as path from 'node:path'
import { train } from '../scripts/train'
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
