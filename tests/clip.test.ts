// The text half against transformers' CLIPTextModel (tests/fixtures/texts.py made the values), and both halves at the edges.
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CaptionedDigits, Glyphs } from 'miniai/captions'
import { Captioned, causalMask, Clip, ClipCB, ClipText, ClipTextConfig, contrastive, digitsText, loadClip, retrieval } from 'miniai/clip'
import { tf, useBackend } from 'miniai/engine'
import { loadMnist } from 'miniai/files'
import { jit } from 'miniai/jit'
import { Learner } from 'miniai/learner'
import { seed } from 'miniai/random'
import { loadTensors } from 'miniai/safetensors'
import { Adam, DataLoader, DataLoaders, lossAndGrads } from 'miniai/training'
import { assignTorch, camelKeys } from 'miniai/unet'
import { distance, fixtures, isWanted, under } from './distances'
import { refuses } from './refusals'

const root = join(__dirname, '..'), stored = join(root, 'nbs/models/clip.safetensors')
const small: ClipTextConfig = { vocabSize: 20, hiddenSize: 8, intermediateSize: 12, numHiddenLayers: 2, numAttentionHeads: 2, maxPositionEmbeddings: 6, eosTokenId: 19 }
const range = (n: number) => [...Array(n).keys()]
const ints = (rows: number[][]) => tf.tensor2d(rows, [rows.length, rows[0].length], 'int32')

/** A stored model's weights; of a large table only some rows are stored. */
function weightsOf(all: Record<string, tf.Tensor>, { vocabSize = 0, hiddenSize = 0 }: ClipTextConfig): Record<string, tf.Tensor> {
  const model = under(all, 'model.'), { tokens, rows } = all
  if (!tokens) return model
  const table = new Float32Array(vocabSize * hiddenSize), values = rows.dataSync()
  tokens.dataSync().forEach((id, k) => table.set(values.slice(k * hiddenSize, (k + 1) * hiddenSize), id * hiddenSize))
  return { ...model, 'text_model.embeddings.token_embedding.weight': tf.tensor2d(table, [vocabSize, hiddenSize]) }
}

for (const [backend, times] of [['tensorflow', 1], ['wasm', 5]] as const) {
  it(`ClipText on ${backend} with transformers' weights gives transformers' answers, for 4 configurations`, async function () {
    if (!isWanted(backend)) return this.skip()
    await useBackend(backend)
    const { tensors, metadata } = loadTensors(join(fixtures, 'texts.safetensors'))
    const configs = Object.entries<object>(JSON.parse(metadata.configs))
    assert.deepEqual(configs.map(([name]) => name), ['gelu', 'old', 'long', 'tiny-sd-a'])
    for (const [name, json] of configs) {
      const config = camelKeys<ClipTextConfig>(json), text = new ClipText(config), own = under(tensors, `${name}.`)
      assignTorch(text, weightsOf(own, config), name)
      const hidden = text.forward(own.ids), pooled = text.pooled(hidden, own.ids)
      for (const [what, got, want] of [['hidden', hidden, own.hidden], ['pooled', pooled, own.pooled]] as const) {
        const far = await distance(got, want), [largest] = await tf.max(tf.abs(want)).data()
        assert.ok(far <= times * 1e-4 * largest, `${name}, ${what}: ${far} of ${largest}`)
      }
    }
  })
}

it('new ClipText(config) names every parameter as CLIPTextModel does, and each has a gradient, compiled or not', async () => {
  await useBackend()
  seed(1)
  const text = new ClipText(small), params = text.params(), names = Object.keys(params)
  assert.equal(names.length, 2 + 2 * 16 + 2)
  assert.ok(['text_model.embeddings.token_embedding.weight', 'text_model.encoder.layers.1.self_attn.out_proj.bias',
    'text_model.encoder.layers.0.mlp.fc1.weight', 'text_model.final_layer_norm.weight'].every(o => names.includes(o)))
  const step = (ids: tf.Tensor) => Object.values(lossAndGrads(() => tf.sum(tf.square(text.pooled(text.call(ids), ids))), params).grads)
  const ids = ints([[18, 3, 3, 19, 19], [18, 7, 5, 1, 19]]), eager = step(ids), compiled = jit(step)(ids)
  assert.equal(eager.length, names.length)
  for (const [i, g] of eager.entries()) assert.ok(await distance(g, compiled[i]) < 1e-3, names[i])
})

it('text.forward: a later token changes no earlier state, each place has its own, a batch is its rows', async () => {
  await useBackend('wasm')
  const text = new ClipText(small), a = text.forward([[18, 3, 3, 19, 19]]), b = text.forward([[18, 3, 3, 4, 5]])
  const row = (x: tf.Tensor, i: number) => [...x.slice([0, i], [1, 1]).dataSync()]
  for (const i of range(3)) assert.deepEqual(row(a, i), row(b, i))
  assert.notDeepEqual(row(a, 1), row(a, 2))
  const both = text.forward(ints([[1, 2, 3, 4, 5], [18, 3, 3, 19, 19]]))
  assert.ok(await distance(both.slice([1], [1]), a) < 1e-6)
})

it('text.pooled takes the first end mark; with the old number 2 the largest number', async () => {
  await useBackend('wasm')
  const hidden = tf.reshape(tf.range(0, 2 * 4 * 8), [2, 4, 8]), ids = [[1, 19, 2, 19], [5, 19, 18, 3]]
  const first = (text: ClipText, ids: number[][]) => text.pooled(hidden, ids).arraySync().map(row => row[0])
  assert.deepEqual(first(new ClipText(small), ids), [8, 40])
  assert.deepEqual(first(new ClipText({ ...small, eosTokenId: 2 }), [[1, 2, 17, 3], [0, 4, 2, 19]]), [16, 56])
})

it('causalMask(4) hides what is later and nothing else', async () => {
  await useBackend('wasm')
  const hidden = causalMask(4).arraySync().map(row => row.map(o => o < -1e8))
  assert.deepEqual(hidden, range(4).map(i => range(4).map(k => k > i)))
})

refuses([
  ['text.forward of a number outside the table', () => new ClipText(small).forward([[1, 20]]), /^ClipText: wanted rows of at most 6 token numbers 0 … 19, got 20$/],
  ['text.forward of a tensor with a number below 0', () => new ClipText(small).forward(ints([[1, -1]])), /0 … 19, got -1$/],
  ['text.forward of a number that is not whole', () => new ClipText(small).forward([[1.5]]), /0 … 19, got 1.5$/],
  ['text.forward of too many tokens', () => new ClipText(small).forward([range(7)]), /at most 6 token numbers 0 … 19, got \[1,7\]$/],
  ['text.forward of rows of different lengths', () => new ClipText(small).forward([[1, 2], [1]]), /got rows of different lengths$/],
  ['text.forward of nothing', () => new ClipText(small).forward([]), /got \[0,0\]$/],
  ['text.forward of one row without its brackets', () => new ClipText(small).forward(tf.tensor1d([1, 2], 'int32')), /got \[2\]$/],
  ['new ClipText with an unknown function', () => new ClipText({ ...small, hiddenAct: 'relu6' }), /^ClipText: hiddenAct is quick_gelu or gelu, got "relu6"$/],
  ['new ClipText with heads that do not divide the channels', () => new ClipText({ ...small, numAttentionHeads: 3 }), /^ClipText: 8 channels make no 3 heads$/],
  ['clip.pictures of another size', () => new Clip(small, 4).pictures(tf.zeros([1, 32, 32, 3])), /^withInk: wanted \[n, 64, 64, 3\], got \[1,32,32,3\]$/]
])

it('contrastive(logits) is log n for who knows nothing, and the same for the transposed', async () => {
  await useBackend('wasm')
  assert.ok(Math.abs(contrastive(tf.zeros([9, 9])).dataSync()[0] - Math.log(9)) < 1e-6)
  const x = tf.randomNormal([5, 5], 0, 1, 'float32', 3)
  assert.ok(await distance(contrastive(x), contrastive(tf.transpose(x))) < 1e-6)
})

it('retrieval(logits) counts rows and columns by themselves', async () => {
  await useBackend('wasm')
  const found = retrieval(tf.tensor2d([[5, 1, 6], [0, 3, 2], [1, 2, 4]]))
  assert.deepEqual([found.captions, found.pictures].map(o => Math.round(3 * o)), [2, 2])
})

it('new Clip() trained on 16 pairs tells them apart, and every 50th caption is empty', async function () {
  this.timeout(120_000)
  await useBackend()
  seed(1)
  const { tok } = loadClip(), ds = new Captioned(new CaptionedDigits(new Glyphs((await loadMnist()).valid), { n: 64, seed: 1 }), tok)
  const [empty] = ds.at(50)[1].arraySync() as number[], [x, ids] = ds.batch(range(16).map(i => i + 1))
  assert.deepEqual(tok.decode(ds.at(50)[1].slice(0, 2).dataSync()), '<|startoftext|><|endoftext|>')
  assert.equal(empty, tok.id('<|startoftext|>'))
  const clip = new Clip({ ...digitsText, hiddenSize: 32, intermediateSize: 64, numHiddenLayers: 1 }, 32), one = { length: 16, at: () => ds.at(1), batch: () => [x, ids].map(o => tf.clone(o)) as [tf.Tensor, tf.Tensor] }
  const loader = new DataLoader(one, { bs: 16 }), learn = new Learner(clip, new DataLoaders(loader, loader), { opt: Adam, lr: 5e-3, cbs: [new ClipCB()] })
  await learn.fit(30, { valid: false })
  assert.ok(learn.loss < 0.5, `${learn.loss}`)
  assert.ok(retrieval(clip.call(x, ids)).pictures > 0.9)
})

it('loadClip() finds captions for unseen pictures, and words the model knows as synonyms are near', async () => {
  await useBackend()
  const { clip, tok } = loadClip(), vector = (text: string) => clip.sentences(tok.batch([text]))
  const like = (a: string, b: string) => tf.sum(tf.mul(vector(a), vector(b))).dataSync()[0]
  assert.ok(like('a small red seven', 'one tiny 7 in red ink') > like('a small red seven', 'a small blue seven') + 0.2)
  assert.ok(like('a red seven on blue', 'a blue seven on red') < 0.7)
})

it('loadClip(path) of a damaged or foreign file is refused in one sentence', async () => {
  await useBackend('wasm')
  const folder = mkdtempSync(join(tmpdir(), 'clip-')), bytes = readFileSync(stored), path = join(folder, 'clip.safetensors')
  try {
    bytes[bytes.length - 5] ^= 1
    writeFileSync(path, bytes)
    assert.throws(() => loadClip(path), /clip\.safetensors: "[\w.]+" is damaged: its numbers are not those that were stored$/)
    writeFileSync(path, bytes.subarray(0, 5000))
    assert.throws(() => loadClip(path), /clip\.safetensors/)
    assert.throws(() => loadClip(join(root, 'nbs/models/guided.safetensors')), /guided\.safetensors: there is no "text_model/)
  } finally { rmSync(folder, { recursive: true }) }
})
