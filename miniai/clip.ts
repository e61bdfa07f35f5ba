// Do not edit: made by "npm run export" from ../nbs/18_clip.ipynb (752aaecc11bf)
// Two networks, one for sentences and one for pictures, learn to put what belongs together in the same place. The one for sentences is what Stable Diffusion listens to.

import { join } from 'path'
import { LayerNorm } from './activations'
import { PictureNet } from './attributes'
import { CaptionedDigits } from './captions'
import { tf } from './engine'
import { Tape } from './jit'
import { Learner, TrainCB } from './learner'
import { loadModel } from './safetensors'
import { ClipTokenizer } from './tokenizer'
import { Batch, Linear, Module, accuracy, crossEntropy } from './training'
import { Embedding, attention, gelu, overLast } from './unet'

// %% ../nbs/18_clip.ipynb 35c929d3
/** What a `ClipText` is made of: the keys of CLIPTextModel's config.json in camelCase. */
export interface ClipTextConfig {
  vocabSize?: number
  hiddenSize?: number
  intermediateSize?: number
  numHiddenLayers?: number
  numAttentionHeads?: number
  maxPositionEmbeddings?: number
  hiddenAct?: string
  layerNormEps?: number
  eosTokenId?: number
}

// %% ../nbs/18_clip.ipynb 847066d7
/** CLIPTextModel's own configuration, which stands for what another one leaves out. */
export const clipText: Required<ClipTextConfig> = {
  vocabSize: 49408, hiddenSize: 512, intermediateSize: 2048, numHiddenLayers: 12,
  numAttentionHeads: 8, maxPositionEmbeddings: 77, hiddenAct: 'quick_gelu', layerNormEps: 1e-5,
  eosTokenId: 49407
}

// %% ../nbs/18_clip.ipynb 57a43680
type Config = Required<ClipTextConfig>
const quickGelu = (x: tf.Tensor): tf.Tensor => tf.mul(x, tf.sigmoid(tf.mul(x, 1.702)))
const acts: Record<string, (x: tf.Tensor) => tf.Tensor> = { quick_gelu: quickGelu, gelu }

/** The configuration, if a `ClipText` can be made of it. */
function checked(c: Config): Config {
  const isKnown = Object.hasOwn(acts, c.hiddenAct), known = Object.keys(acts).join(' or ')
  if (!isKnown) throw new Error(`ClipText: hiddenAct is ${known}, got "${c.hiddenAct}"`)
  if (c.hiddenSize % c.numAttentionHeads === 0) return c
  throw new Error(`ClipText: ${c.hiddenSize} channels make no ${c.numAttentionHeads} heads`)
}

// %% ../nbs/18_clip.ipynb 7917d5ad
/** An `Embedding` whose rows are looked up: whole numbers of any shape [...] → [..., nf]. */
export class Lookup extends Embedding {
  constructor(classes: number, nf: number) {
    super(classes, nf)
    tf.tidy(() => this.weight.assign(tf.mul(this.weight, 0.02) as tf.Variable))
  }
  forward(ids: tf.Tensor): tf.Tensor {
    if (!Tape.isRunning) return tf.gather(this.weight as tf.Tensor, ids)
    return tf.reshape(super.forward(tf.reshape(ids, [-1])), [...ids.shape, this.nf])
  }
}

// %% ../nbs/18_clip.ipynb 42459167
/** The rows of words and of their places, added: ids [n, l] → [n, l, hidden]. */
class TextEmbeddings extends Module {
  token_embedding: Lookup
  position_embedding: Lookup
  constructor({ vocabSize, hiddenSize, maxPositionEmbeddings }: Config) {
    super()
    this.token_embedding = new Lookup(vocabSize, hiddenSize)
    this.position_embedding = new Lookup(maxPositionEmbeddings, hiddenSize)
  }
  forward(ids: tf.Tensor): tf.Tensor {
    const places = this.position_embedding.weight as tf.Tensor2D
    return tf.add(this.token_embedding.call(ids), tf.slice(places, 0, ids.shape[1]))
  }
}

// %% ../nbs/18_clip.ipynb b1656991
/** What is added to scores [l, l] so that each place sees itself and those before it. */
export function causalMask(l: number): tf.Tensor2D {
  const isLater = (i: number) => i % l > Math.floor(i / l)
  return tf.tensor2d(Float32Array.from({ length: l * l }, (_, i) => isLater(i) ? -1e9 : 0), [l, l])
}

// %% ../nbs/18_clip.ipynb 7a222888
/** Attention among words x [n, l, hidden], under a mask. */
class TextAttention extends Module {
  k_proj: Linear
  v_proj: Linear
  q_proj: Linear
  out_proj: Linear
  heads: number
  constructor({ hiddenSize: nf, numAttentionHeads }: Config) {
    super()
    this.k_proj = new Linear(nf, nf)
    this.v_proj = new Linear(nf, nf)
    this.q_proj = new Linear(nf, nf)
    this.out_proj = new Linear(nf, nf)
    this.heads = numAttentionHeads
  }
  forward(x: tf.Tensor, mask: tf.Tensor): tf.Tensor {
    const [q, k, v] = [this.q_proj, this.k_proj, this.v_proj].map(o => overLast(o, x))
    return overLast(this.out_proj, attention(q, k, v, this.heads, mask))
  }
}

// %% ../nbs/18_clip.ipynb c68cc495
/** hidden → intermediate → hidden, for each word by itself. */
class TextMlp extends Module {
  fc1: Linear
  fc2: Linear
  act: (x: tf.Tensor) => tf.Tensor
  constructor({ hiddenSize, intermediateSize, hiddenAct }: Config) {
    super()
    this.fc1 = new Linear(hiddenSize, intermediateSize)
    this.fc2 = new Linear(intermediateSize, hiddenSize)
    this.act = acts[hiddenAct]
  }
  forward(x: tf.Tensor): tf.Tensor { return overLast(this.fc2, this.act(overLast(this.fc1, x))) }
}

// %% ../nbs/18_clip.ipynb 0b884b6a
/** Attention and a small network, each added to its input. */
class TextLayer extends Module {
  self_attn: TextAttention
  layer_norm1: LayerNorm
  mlp: TextMlp
  layer_norm2: LayerNorm
  constructor(c: Config) {
    super()
    this.self_attn = new TextAttention(c)
    this.layer_norm1 = new LayerNorm(c.hiddenSize, c.layerNormEps)
    this.mlp = new TextMlp(c)
    this.layer_norm2 = new LayerNorm(c.hiddenSize, c.layerNormEps)
  }
  forward(x: tf.Tensor, mask: tf.Tensor): tf.Tensor {
    const y = tf.add(x, this.self_attn.call(this.layer_norm1.call(x), mask))
    return tf.add(y, this.mlp.call(this.layer_norm2.call(y)))
  }
}

// %% ../nbs/18_clip.ipynb cf126e38
/** Layers, one after the other. */
class TextEncoder extends Module {
  layers: TextLayer[]
  constructor(c: Config) {
    super()
    this.layers = Array.from({ length: c.numHiddenLayers }, () => new TextLayer(c))
  }
  forward(x: tf.Tensor): tf.Tensor {
    const mask = causalMask(x.shape[1]!)
    return this.layers.reduce((x, layer) => layer.call(x, mask), x)
  }
}

// %% ../nbs/18_clip.ipynb 165d385d
/** Words and places, the layers, and a last norm. */
class TextTransformer extends Module {
  embeddings: TextEmbeddings
  encoder: TextEncoder
  final_layer_norm: LayerNorm
  constructor(c: Config) {
    super()
    this.embeddings = new TextEmbeddings(c)
    this.encoder = new TextEncoder(c)
    this.final_layer_norm = new LayerNorm(c.hiddenSize, c.layerNormEps)
  }
  forward(ids: tf.Tensor): tf.Tensor {
    return this.final_layer_norm.call(this.encoder.call(this.embeddings.call(ids)))
  }
}

// %% ../nbs/18_clip.ipynb 7b23cde5
/** Token numbers as a tensor [n, l], if the model knows them all and has so many places. */
function tokenIds(ids: tf.Tensor | number[][], c: Config): tf.Tensor2D {
  const refuse = (got: unknown): never => { throw new RangeError(`ClipText: wanted rows of at most `
    + `${c.maxPositionEmbeddings} token numbers 0 … ${c.vocabSize - 1}, got ${got}`) }
  const isList = Array.isArray(ids), shape = isList ? [ids.length, ids[0]?.length ?? 0] : ids.shape
  const [n, l] = shape, isFlat = shape.length === 2 && n > 0 && l > 0
  if (!isFlat || l > c.maxPositionEmbeddings) return refuse(`[${shape}]`)
  if (isList && ids.some(row => row.length !== l)) return refuse('rows of different lengths')
  if (!isList && Tape.isRunning) return tf.cast(ids, 'int32') as tf.Tensor2D
  const all = isList ? ids.flat() : [...ids.dataSync()]
  const odd = all.find(id => !Number.isInteger(id) || id < 0 || id >= c.vocabSize)
  return odd === undefined ? tf.tensor2d(all, [n, l], 'int32') : refuse(odd)
}

// %% ../nbs/18_clip.ipynb 6f51c9f6
/** CLIP's half for texts, CLIPTextModel by its parameters' names: ids [n, l] → [n, l, hidden]. */
export class ClipText extends Module {
  config: Required<ClipTextConfig>
  text_model: TextTransformer
  constructor(config: ClipTextConfig = {}) {
    super()
    this.config = checked({ ...clipText, ...config })
    this.text_model = new TextTransformer(this.config)
  }
  /** A vector for each token, after the last norm. */
  forward(ids: tf.Tensor | number[][]): tf.Tensor {
    return this.text_model.call(tokenIds(ids, this.config))
  }
  /** Of `hidden` [n, l, hidden] the rows at the first end marks [n, hidden]. */
  pooled(hidden: tf.Tensor, ids: tf.Tensor | number[][]): tf.Tensor2D {
    const { eosTokenId } = this.config, numbers = tokenIds(ids, this.config)
    const marks = eosTokenId === 2 ? numbers : tf.cast(tf.equal(numbers, eosTokenId), 'int32')
    const isEnd = tf.oneHot(tf.argMax(marks, 1), numbers.shape[1])
    const rows = tf.matMul(tf.expandDims(tf.cast(isEnd, 'float32'), 1), hidden) // [n, 1, hidden]
    return tf.squeeze(rows, [1]) as tf.Tensor2D
  }
}

// %% ../nbs/18_clip.ipynb 09dfbf02
/** The text half for captioned digits: 694 tokens, room for ten more, and 32 places. */
export const digitsText: Required<ClipTextConfig> = { ...clipText, vocabSize: 704, hiddenSize: 128,
  intermediateSize: 256, numHiddenLayers: 2, numAttentionHeads: 4, maxPositionEmbeddings: 32,
  eosTokenId: 693 }

// %% ../nbs/18_clip.ipynb 78fba2e2
const unit = (x: tf.Tensor): tf.Tensor => tf.mul(x, tf.rsqrt(tf.sum(tf.square(x), -1, true)))

// %% ../nbs/18_clip.ipynb b3d5b6bc
/** Sentences and pictures as vectors of one length: named as CLIPModel where it is the same. */
export class Clip extends Module {
  textModel: ClipText
  vision_model: PictureNet
  text_projection: Linear
  logit_scale: tf.Variable
  constructor(config: ClipTextConfig = digitsText, size = 128) {
    super()
    this.textModel = new ClipText(config)
    this.vision_model = new PictureNet(size)
    this.text_projection = new Linear(this.textModel.config.hiddenSize, size, { bias: false })
    this.logit_scale = tf.tidy(() => tf.variable(tf.scalar(Math.log(1 / 0.07))))
  }
  fields(): object {
    const { textModel, ...rest } = this
    return { text_model: textModel.text_model, ...rest }
  }
  /** Pictures [n, 64, 64, 3], 0 … 1 → [n, size]. */
  pictures(x: tf.Tensor): tf.Tensor { return unit(this.vision_model.call(x)) }
  /** Token numbers [n, l] → [n, size]. */
  sentences(ids: tf.Tensor): tf.Tensor {
    const { textModel, text_projection } = this, hidden = textModel.call(ids)
    return unit(text_projection.call(textModel.pooled(hidden, ids)))
  }
  /** Cosines of pictures [n, size] with sentences [m, size] over the temperature, [n, m]. */
  compare(pictures: tf.Tensor, sentences: tf.Tensor): tf.Tensor {
    const factor = tf.exp(tf.minimum(this.logit_scale, Math.log(100)))
    return tf.mul(tf.matMul(pictures, sentences, false, true), factor)
  }
  forward(x: tf.Tensor, ids: tf.Tensor): tf.Tensor {
    return this.compare(this.pictures(x), this.sentences(ids))
  }
}

// %% ../nbs/18_clip.ipynb 7b068ca4
/** Mean of the cross-entropies by rows and by columns of [n, n]; the diagonal is right. */
export function contrastive(logits: tf.Tensor): tf.Scalar {
  const own = tf.range(0, logits.shape[0], 1, 'int32')
  const both = [logits, tf.transpose(logits)].map(o => crossEntropy(o, own))
  return tf.div(tf.addN(both), 2) as tf.Scalar
}

// %% ../nbs/18_clip.ipynb 28edad26
/** Trains a `Clip` on batches of pictures [n, 64, 64, 3] and token numbers [n, l]. */
export class ClipCB extends TrainCB {
  predict({ model }: Learner, x: tf.Tensor): tf.Tensor { return (model as Clip).pictures(x) }
  getLoss({ model }: Learner, pictures: tf.Tensor, ids: tf.Tensor): tf.Tensor {
    const clip = model as Clip
    return contrastive(clip.compare(pictures, clip.sentences(ids)))
  }
}

// %% ../nbs/18_clip.ipynb d65e2fa4
/** Captioned digits as pictures [n, 64, 64, 3] and token numbers; every 50th says nothing. */
export class Captioned {
  length: number
  constructor(public ds: CaptionedDigits, public tok: ClipTokenizer) { this.length = ds.length }
  batch(ix: ArrayLike<number>): Batch {
    const texts = Array.from(ix, i => i % 50 ? this.ds.caption(i) : '')
    return [tf.tensor4d(this.ds.pixels(ix), [ix.length, 64, 64, 3]), this.tok.batch(texts)]
  }
  at(i: number): Batch {
    const batch = this.batch([i]), item = batch.map(o => tf.squeeze(o, [0]))
    tf.dispose(batch)
    return item as Batch
  }
}

// %% ../nbs/18_clip.ipynb 3aab0919
/** The trained halves of `nbs/models`, or of `path`, and their tokenizer. */
export function loadClip(path = join(__dirname, '../nbs/models/clip.safetensors')) {
  const clip = new Clip(), { merges = '' } = loadModel(path, clip)
  const pairs = merges.split('\n').map(o => o.split(' ') as [a: string, b: string])
  const tok = new ClipTokenizer(pairs, { length: digitsText.maxPositionEmbeddings })
  return { clip: clip.train(false), tok }
}

// %% ../nbs/18_clip.ipynb 17378ab9
/** Of similarities [n, n], the share of rows and of columns with the largest on the diagonal. */
export function retrieval(logits: tf.Tensor): { captions: number, pictures: number } {
  const own = tf.range(0, logits.shape[0], 1, 'int32')
  const share = (o: tf.Tensor) => accuracy(o, own).dataSync()[0]
  const [captions, pictures] = [logits, tf.transpose(logits)].map(share)
  return { captions, pictures }
}
