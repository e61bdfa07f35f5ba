import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { tf, useBackend } from 'miniai/engine'
import { hasTensorflow, isRequired, runChild, softwareCard } from './children'
import { temporary } from './folders'

const root = join(__dirname, '..')
const noVulkan = { VK_ICD_FILENAMES: '/nowhere.json' }

/** Flags of a process in which the files whose names hold one of `words` do not seem to exist. */
function without(...words: string[]): string[] {
  const file = join(temporary(), 'hide.cjs')
  const list = JSON.stringify(words)
  writeFileSync(file, `const fs = require('fs'), { existsSync } = fs, words = ${list}
    fs.existsSync = path => !words.some(word => String(path).includes(word)) && existsSync(path)`)
  return ['-r', file]
}

it('useBackend("wasm") says name, version, device, threads and why in one line', () => {
  const { out, status } = runChild('console.log(await useBackend("wasm"))')
  assert.equal(status, 0)
  const n = Math.min(8, availableParallelism())
  const line = `^wasm 4\\.\\d+\\.\\d+ · .+ · ${n} threads? · asked for by useBackend$`
  assert.match(out, new RegExp(line))
})

it('MINIAI_BACKEND chooses, also by a name that does not exist: an error lists the names', () => {
  assert.match(runChild('console.log(await useBackend())', { MINIAI_BACKEND: 'cpu' }).out,
    /^cpu .* asked for by MINIAI_BACKEND$/)
  const { err, status } = runChild('await useBackend()', { MINIAI_BACKEND: 'cuda' })
  assert.notEqual(status, 0)
  assert.match(err, /MINIAI_BACKEND: there is no backend "cuda"/)
  assert.match(err, /there are tensorflow, webgpu, wasm, cpu/)
})

it('useBackend("tensorflow") without its binding names the command that builds it', () => {
  const { err } = runChild('await useBackend("tensorflow")', {}, without('tfjs_binding'))
  assert.match(err, /useBackend: tensorflow cannot be used: its C\+\+ binding is not built/)
  assert.match(err, /"npm run setup" builds it/)
})

it('useBackend("webgpu") without a graphics card says so, and nothing else is printed',
  function () {
  if (process.platform !== 'linux') return this.skip()
  const { out, err } = runChild('await useBackend("webgpu").catch(e => console.log(e.message))',
    noVulkan)
  const why = 'Vulkan, Metal or Direct3D 12 shows no graphics card'
  assert.equal(out, `useBackend: webgpu cannot be used: ${why}`)
  assert.equal(err, '')
})

it('useBackend() never takes a graphics card in software, and tells why it took wasm', function () {
  if (process.platform !== 'linux') return this.skip()
  const env = { ...noVulkan, ...softwareCard, MINIAI_BACKEND: '' }
  const { out } = runChild('console.log(await useBackend())', env, without('tfjs_binding'))
  assert.match(out, /^wasm .* · no tensorflow: its C\+\+ binding .*; no webgpu: .*graphics card/)
})

it('useBackend("tensorflow") prints nothing of its own and mends what new Nodes lack', function () {
  if (!hasTensorflow && !isRequired('tensorflow')) return this.skip()
  const code = `console.log(await useBackend("tensorflow"))
    console.log(tf.topk(tf.matMul([[1, 2]], [[3], [4]]), 1).values.dataSync()[0],
      tf.sum([1, 2]).dataSync()[0])`
  const { out, err } = runChild(code)
  assert.match(out, /^tensorflow 2\.\d+\.\d+ · .+ · asked for by useBackend\n11 3$/)
  assert.equal(err, '')
})

it('importing miniai/engine loads no native library', () => {
  const { out } = runChild(`const files = Object.keys(require('module')._cache)
    const heavy = files.filter(name => /\\.node$|tfjs-node-gpu|koffi|webgpu/.test(name))
    console.log(typeof tf.add, files.filter(name => /engine.ts$/.test(name)).length, heavy)`)
  assert.equal(out, 'function 1 []')
})

it('useBackend is idempotent, gives one object for one backend, and tensors go along to another',
  async () => {
  const first = await useBackend('cpu'), x = tf.tensor([1, 2])
  assert.equal(await useBackend('cpu'), first)
  await useBackend('wasm')
  assert.equal(tf.getBackend(), 'wasm')
  assert.deepEqual([...tf.add(x, 1).dataSync()], [2, 3])
  assert.equal(await useBackend('cpu'), first)
  assert.equal(tf.getBackend(), 'cpu')
})

const faces: [string, () => tf.Tensor, string][] = [
  ['a scalar', () => tf.scalar(0.97321), 'tensor(0.9732)'],
  ['an integer', () => tf.scalar(3, 'int32'), 'tensor(3, int32)'],
  ['a small number', () => tf.scalar(3e-7), 'tensor(3.000e-7)'],
  ['a vector', () => tf.tensor([1.5, -2]), 'tensor([1.5000, -2.0000], shape [2], float32)'],
  ['a long vector', () => tf.range(0, 784),
    'tensor([0, 1, 2, 3, 4, …, 779, 780, 781, 782, 783], shape [784], float32)'],
  ['a matrix', () => tf.tensor([[1, 2.5], [-3, 4]]),
    'tensor([[ 1.0000,  2.5000],\n        [-3.0000,  4.0000]], shape [2, 2], float32)'],
  ['NaN and infinity', () => tf.tensor([NaN, Infinity, 1]),
    'tensor([NaN, Infinity, 1], shape [3], float32)'],
  ['yes and no', () => tf.tensor([[true, false]], [1, 2], 'bool'),
    'tensor([[ true, false]], shape [1, 2], bool)'],
  ['text', () => tf.tensor(['a', 'b']), 'tensor(["a", "b"], shape [2], string)'],
  ['nothing', () => tf.zeros([0, 3]), 'tensor([], shape [0, 3], float32)'],
  ['a variable', () => tf.variable(tf.tensor([1])), 'variable([1], shape [1], float32)'],
  ['a disposed one', () => { const t = tf.ones([2, 2]); t.dispose(); return t },
    'tensor(disposed, shape [2, 2], float32)']
]
for (const [what, make, face] of faces) it(`inspect(${what}) is ${face.split('\n')[0]}`,
  async () => {
  await useBackend('cpu')
  assert.equal(inspect(make()), face)
})

it('inspect of any tensor has at most 6 lines and shows its ends, of a large one too', async () => {
  await useBackend('cpu')
  for (const shape of [[5, 784], [50000, 784], [7, 28, 28], [2, 3, 4, 5], [9, 3, 3, 3, 3],
    [6, 2, 2, 2, 2, 2], [1, 1], [3, 1]]) {
    const lines = inspect(tf.fill(shape, 0.25)).split('\n')
    assert.ok(lines.length <= 6 && lines.every(line => line.length <= 140), lines.join('\n'))
    assert.match(lines.at(-1)!, new RegExp(`\\], shape \\[${shape.join(', ')}\\], float32\\)$`))
  }
  const tall = inspect(tf.range(0, 20000 * 60).reshape([20000, 60])).split('\n')
  assert.match(tall[0], /^tensor\(\[\[ +0, +1, +2, +3, …, +56, +57, +58, +59\],$/)
  assert.equal(tall[3].trim(), '…,')
  assert.match(tall[5], /1199999\]\], shape/)
})

it('inspect of a tensor on a graphics card does not wait for it', function () {
  if (!softwareCard && !isRequired('webgpu')) return this.skip()
  const code = `await useBackend('webgpu')
    console.log(tf.tensor([1, 2]), tf.add(tf.ones([5000]), 1))`
  const { out } = runChild(code, softwareCard)
  assert.equal(out, 'tensor([1, 2], shape [2], float32) '
    + 'tensor(on the graphics card, shape [5000], float32; await t.data() reads it)')
})
