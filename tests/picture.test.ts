import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { spawnSync } from 'node:child_process'
import { fileOf, pictureWishOf } from '../scripts/picture'
import { tiny } from './checkpoints'

const root = join(__dirname, '..')
function sample(...words: string[]) {
  const args = ['-r', join(root, 'scripts/load.cjs'), join(root, 'scripts/sample.ts'), ...words]
  return spawnSync(process.execPath, args, { encoding: 'utf8', env: { ...process.env, MINIAI_BACKEND: 'wasm' } })
}

it('sample "a prompt" --model DIR and the other flags, with = or a blank, are read', () => {
  const { model, out, options } = pictureWishOf(['a red horse', '--model', 'sd', '--steps=70', '--sampler', 'Euler a', '--seed', '3', '--negative', 'blue'])
  assert.deepEqual([model, out, options.prompt, options.steps, options.scheduler, options.seed, options.negativePrompt, options.width],
    ['sd', 'picture.png', 'a red horse', 70, 'Euler a', 3, 'blue', undefined])
  assert.deepEqual([fileOf('a/b.png', 0, 1), fileOf('a/b.png', 1, 2)], ['a/b.png', join('a', 'b-2.png')])
})

for (const [words, why] of [
  [['--model', 'x'], /^sample: wanted one prompt in quotes, .*, got 0$/],
  [['a', 'red', '--model', 'x'], /, got 2$/],
  [['a', '--model'], /^sample: --model wants a value, as in /],
  [['a', '--model', 'x', '--digit', '7'], /^sample: what is "--digit"\? Known is "a prompt" --model DIR /],
  [['a', '--model', 'x', '--steps', 'many'], /^sample: --steps wants a number, got "many"$/],
  [['a', '--model', 'x', '--seed', '1', '--seed', '2'], /^sample: --seed stands there twice$/]
] as [string[], RegExp][]) {
  it(`sample ${words.join(' ')} is refused in one sentence`, () => assert.throws(() => pictureWishOf(words), { message: why }))
}

it('sample "a prompt" --model DIR --n 2 writes two pictures and names their seeds', function () {
  this.timeout(120_000)
  const folder = mkdtempSync(join(tmpdir(), 'miniai-')), out = join(folder, 'a.png')
  const { stdout, stderr, status } = sample('a red horse', '--model', tiny, '--n', '2', '--seed', '5', '--steps', '2', '--height', '16', '--width', '24', '--out', out)
  assert.equal(status, 0, stderr)
  assert.match(stdout, /a-1\.png: seed 5\n.*a-2\.png: seed 6\nloaded in [\d.]+ s, painted in [\d.]+ s\n$/)
  const png = readFileSync(join(folder, 'a-2.png'))
  assert.deepEqual([png.readUInt32BE(16), png.readUInt32BE(20)], [24, 16])
  rmSync(folder, { recursive: true })
})

it('sample with a folder that holds no model says so, without a stack', () => {
  const { stderr, status } = sample('a red horse', '--model', tmpdir())
  assert.equal(status, 1)
  assert.match(stderr, /^.*wanted a folder with model_index.json.*\n$/)
})
