// Do not edit: made by "npm run export" from ../nbs/16b_attributes.ipynb (2d60a93e58aa)
// A network that looks at a picture of captioned digits and says its seven attributes. Later it judges the pictures that other networks draw.

import { join } from 'path'
import { Attrs, attrNames, choices } from './captions'
import { ConvBlock, ResBlock } from './convnet'
import { tf } from './engine'
import { loadModel } from './safetensors'
import { Linear, Module, accuracy, crossEntropy } from './training'

// %% ../nbs/16b_attributes.ipynb a4d3a1cd
const side = 64

/** Colours of the four corners of x [n, 64, 64, 3], in the mean [n, 1, 1, 3]. */
function cornerColour(x: tf.Tensor): tf.Tensor {
  const ends = [0, side - 1]
  const corner = (i: number, k: number) => tf.slice(x, [0, i, k, 0], [-1, 1, 1, 3])
  return tf.div(tf.addN(ends.flatMap(i => ends.map(k => corner(i, k)))), 4)
}

// %% ../nbs/16b_attributes.ipynb 231759a1
/** Pictures [n, 64, 64, 3] with a fourth channel: how far a pixel is from the ground, 0 … 1. */
export function withInk(x: tf.Tensor): tf.Tensor {
  const [, ...size] = x.shape, want = [side, side, 3].join(', '), got = size.join(', ')
  if (got !== want) throw new RangeError(`withInk: wanted [n, ${want}], got [${x.shape}]`)
  const squares = tf.sum(tf.square(tf.sub(x, cornerColour(x))), 3, true)
  const far = tf.sqrt(tf.add(squares, 1e-6)), most = tf.maximum(tf.max(far, [1, 2], true), 0.1)
  return tf.concat([x, tf.div(far, most)], 3)
}

// %% ../nbs/16b_attributes.ipynb 6c114ea3
/** Pictures [n, 64, 64, 3], 0 … 1, to `outputs` numbers [n, outputs]. */
export class PictureNet extends Module {
  stem: ConvBlock
  blocks: ResBlock[]
  head: Linear
  constructor(outputs: number, nfs = [16, 32, 64, 96]) {
    super()
    this.stem = new ConvBlock(4, nfs[0], { ks: 5, stride: 2 })
    this.blocks = nfs.slice(1).map((nf, i) => new ResBlock(nfs[i], nf, 2))
    this.head = new Linear(18 * nfs.at(-1)!, outputs)
  }
  /** What the stem and then each block see in x. */
  features(x: tf.Tensor): tf.Tensor[] {
    const all = [this.stem.call(withInk(x))]
    for (const block of this.blocks) all.push(block.call(all.at(-1)!))
    return all
  }
  forward(x: tf.Tensor): tf.Tensor {
    const o = this.features(x).at(-1)!, [n] = x.shape // [n, 4, 4, nf]
    const all = [tf.reshape(o, [n, -1]), tf.mean(o, [1, 2]), tf.max(o, [1, 2])]
    return this.head.call(tf.concat(all, 1))
  }
}

// %% ../nbs/16b_attributes.ipynb 44f30ea4
const sizes: number[] = attrNames.map(name => choices[name].length)
const nOutputs = sizes.reduce((a, b) => a + b)

// %% ../nbs/16b_attributes.ipynb 4ad86424
/** For each attribute its outputs [n, choices] and its labels [n]. */
function heads(preds: tf.Tensor, yb: tf.Tensor): [preds: tf.Tensor, targ: tf.Tensor][] {
  const targs = tf.unstack(yb, 1)
  return tf.split(preds, sizes, 1).map((o, i) => [o, targs[i]])
}

// %% ../nbs/16b_attributes.ipynb 61e9b267
/** The sum of the attributes' cross-entropies: preds [n, 40], labels yb [n, 7]. */
export function attrLoss(preds: tf.Tensor, yb: tf.Tensor): tf.Scalar {
  return tf.addN(heads(preds, yb).map(([o, targ]) => crossEntropy(o, targ)))
}

// %% ../nbs/16b_attributes.ipynb c5c08356
/** The share of right answers for each attribute [7]. */
export function attrAccuracies(preds: tf.Tensor, yb: tf.Tensor): tf.Tensor1D {
  return tf.stack(heads(preds, yb).map(([o, targ]) => accuracy(o, targ))) as tf.Tensor1D
}

// %% ../nbs/16b_attributes.ipynb fdbedb51
/** The mean of the attributes' accuracies. */
export const attrAccuracy = (preds: tf.Tensor, yb: tf.Tensor): tf.Tensor =>
  tf.mean(attrAccuracies(preds, yb))

// %% ../nbs/16b_attributes.ipynb 51b9942b
/** The trained reader of `nbs/models`, or the one in `path`. */
export function loadAttrNet(path = join(__dirname, '../nbs/models/attributes.safetensors')): PictureNet {
  const model = new PictureNet(nOutputs)
  loadModel(path, model)
  return model.train(false)
}

// %% ../nbs/16b_attributes.ipynb 0a7d458d
/** What the reader sees in pictures [n, 64, 64, 3]. */
export function readPictures(net: PictureNet, x: tf.Tensor): Attrs[] {
  const found = tf.tidy(() =>
    tf.split(net.call(x), sizes, 1).map(o => tf.argMax(o, 1).dataSync()))
  return Array.from({ length: x.shape[0] }, (_, i) =>
    Object.fromEntries(attrNames.map((name, k) => [name, choices[name][found[k][i]]])) as Attrs)
}

// %% ../nbs/16b_attributes.ipynb f32de9a9
/** For each picture, whether all that its caption names is there. */
export function shows(found: Attrs[], named: Partial<Attrs>[]): boolean[] {
  const isRight = (o: Attrs, want: Partial<Attrs>) =>
    attrNames.every(name => want[name] === undefined || want[name] === o[name])
  return found.map((o, i) => isRight(o, named[i]))
}
