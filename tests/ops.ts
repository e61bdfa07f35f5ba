// The operations that the course uses, as a table. Run as a program, `ops.ts wasm` computes them
// all on that backend and writes a line of JSON for each; with a second argument `slopes` it also
// compares each gradient with the slope.
import { tf, useBackend } from 'miniai/engine'

type Inputs = tf.Tensor[]
/** `f` is computed and, unless `isForward`, its gradient for each input. */
export interface Case { name: string, inputs: number[][], range: [number, number],
  isForward: boolean, f: (...xs: any[]) => tf.Tensor | tf.Tensor[] }
/** `data` is base64 of 32-bit floats; `slope` how far the gradients are from the slope. */
export interface Result { name: string, outputs?: Output[], slope?: number, error?: string }
export interface Output { shape: number[], dtype: string, data: string }

export const cases: Case[] = []
type Options = { range?: [number, number], isForward?: boolean }
type Shapes = number[] | number[][]
const shapesOf = (s: Shapes): number[][] => Array.isArray(s[0]) ? s as number[][] : [s as number[]]

function add(name: string, shapes: Shapes, f: Case['f'],
  { range = [-2, 2], isForward = false }: Options = {}) {
  cases.push({ name: `${name} ${shapesOf(shapes).map(s => `[${s}]`).join(' ')}`,
    inputs: shapesOf(shapes), range, isForward, f })
}
const forward = (name: string, shapes: Shapes, f: Case['f'], options: Options = {}) =>
  add(name, shapes, f, { ...options, isForward: true })
const ints = (xs: number[]) => tf.tensor1d(xs, 'int32')
const silu = (x: tf.Tensor) => tf.mul(x, tf.sigmoid(x))
const gelu = (x: tf.Tensor) => tf.mul(x, tf.mul(0.5, tf.add(1, tf.erf(tf.div(x, Math.SQRT2)))))
const bools = (x: tf.Tensor) => tf.greater(x, 0)

// one number to one number
const anywhere = { abs: tf.abs, neg: tf.neg, exp: tf.exp, square: tf.square, relu: tf.relu,
  relu6: tf.relu6, leakyRelu: tf.leakyRelu, elu: tf.elu, selu: tf.selu, sigmoid: tf.sigmoid,
  logSigmoid: tf.logSigmoid, softplus: tf.softplus, tanh: tf.tanh, sin: tf.sin, cos: tf.cos,
  atan: tf.atan, sinh: tf.sinh, cosh: tf.cosh, asinh: tf.asinh, erf: tf.erf, expm1: tf.expm1,
  floor: tf.floor, ceil: tf.ceil, sign: tf.sign, identity: tf.clone, silu, gelu,
  step: (x: tf.Tensor) => tf.step(x), clip: (x: tf.Tensor) => tf.clipByValue(x, -0.5, 1),
  hardSigmoid: (x: tf.Tensor) => tf.clipByValue(tf.add(tf.mul(x, 0.2), 0.5), 0, 1) }
for (const [name, f] of Object.entries(anywhere)) add(name, [5, 7], f)
const positive = { log: tf.log, sqrt: tf.sqrt, rsqrt: tf.rsqrt, reciprocal: tf.reciprocal,
  log1p: tf.log1p, acosh: (x: tf.Tensor) => tf.acosh(tf.add(x, 1)) }
for (const [name, f] of Object.entries(positive)) add(name, [5, 7], f, { range: [0.3, 3] })
const small = { asin: tf.asin, acos: tf.acos, atanh: tf.atanh, tan: tf.tan }
for (const [name, f] of Object.entries(small)) add(name, [4, 9], f, { range: [-0.8, 0.8] })
forward('round', [6, 7], tf.round)
forward('isNaN', [4, 5], x => tf.isNaN(tf.log(x)))
forward('isFinite, isInf', [4, 5], x =>
  [tf.isFinite(tf.div(x, tf.relu(x))), tf.isInf(tf.div(1, tf.relu(x)))])
forward('cast', [4, 5], x =>
  [tf.cast(x, 'int32'), tf.cast(tf.cast(x, 'bool'), 'float32'),
  tf.cast(tf.cast(x, 'int32'), 'float32')])

// two numbers to one, with all kinds of broadcasting
const binary = { add: tf.add, sub: tf.sub, mul: tf.mul, div: tf.div, maximum: tf.maximum,
  minimum: tf.minimum, squaredDifference: tf.squaredDifference, pow: tf.pow }
const pairs = [[[3, 4], [3, 4]], [[3, 4], [4]], [[3, 1], [1, 4]], [[2, 5, 3, 4], [2, 1, 3, 1]],
  [[3, 4], []], [[], [2, 3]], [[5, 1, 4], [2, 1]]]
for (const [name, f] of Object.entries(binary)) {
  for (const pair of pairs) add(name, pair, f, { range: [0.5, 2] })
  add(`${name}, small with large`, [[4, 60, 2, 3], [4, 1, 2, 1]], f, { range: [0.5, 2] })
}
add('sub, small first', [[4, 1, 1], [4, 60, 8]], tf.sub)
add('atan2', [[3, 4], [4]], tf.atan2)
add('prelu', [[3, 4], [4]], tf.prelu)
forward('mod, floorDiv', [[3, 4], [4]], (a, b) =>
  [tf.mod(a, b), tf.cast(tf.floorDiv(a, b), 'float32')], { range: [0.5, 5] })
forward('int32', [[3, 4], [4]], (a, b) => {
  const [x, y] = [a, b].map(t => tf.cast(tf.mul(t, 10), 'int32'))
  return [tf.add(x, y), tf.sub(x, y), tf.mul(x, y), tf.maximum(x, y), tf.sum(x, 0),
    tf.floorDiv(x, tf.add(tf.abs(y), tf.scalar(1, 'int32'))), tf.mod(x, tf.scalar(7, 'int32'))]
})
for (const name of ['equal', 'notEqual', 'less', 'lessEqual', 'greater', 'greaterEqual'] as const) {
  forward(name, [[3, 4], [4]], (a, b) => tf[name](tf.round(a), tf.round(b)))
}
forward('logical', [[3, 4], [3, 4]], (a, b) =>
  [tf.logicalAnd(bools(a), bools(b)), tf.logicalOr(bools(a), bools(b)),
  tf.logicalXor(bools(a), bools(b)), tf.logicalNot(bools(a))])
add('where', [[3, 4], [3, 4]], (a, b) => tf.where(tf.greater(a, b), tf.mul(a, 2), b))
add('where, broadcast', [[2, 3, 4], [4]], (a, b) =>
  tf.where(tf.greater(a, 0), a, tf.broadcastTo(b, a.shape)))
add('addN', [[3, 4], [3, 4], [3, 4]], (...xs) => tf.addN(xs))

// reductions
const axes = [[0], [1], [2], [3], [0, 2], [1, 2], [1, 3], [0, 1, 2], [2, 3], [0, 1, 2, 3]]
for (const name of ['sum', 'mean', 'max', 'min', 'logSumExp'] as const) {
  for (const axis of axes) add(`${name} over ${axis}`, [2, 3, 4, 5], x => tf[name](x, axis))
  add(`${name} kept`, [3, 4, 5], x => tf[name](x, [0, 2], true))
}
for (const axis of [[0], [1], [0, 2]]) {
  forward(`prod over ${axis}`, [3, 2, 4], x => tf.prod(x, axis))
  add(`moments over ${axis}`, [3, 4, 5], x => {
    const { mean, variance } = tf.moments(x, axis, true)
    return tf.add(mean, tf.mul(variance, 3))
  })
  forward(`all, any over ${axis}`, [2, 3, 2], x => [tf.all(bools(x), axis), tf.any(bools(x), axis)])
}
add('sum of many', [300, 300], x => tf.sum(x), { range: [0, 1] })
add('sum of many rows', [20000, 3], x => tf.sum(x, 0), { range: [0, 1] })
add('mean of many', [100, 3, 200], x => tf.mean(x, [0, 2]), { range: [0, 1] })
add('norm', [4, 5], x => tf.norm(x, 2, 1))
forward('argMax, argMin', [5, 6], x => [tf.argMax(x, 0), tf.argMax(x, 1), tf.argMin(x, 1)])
forward('topk', [4, 9], x => Object.values(tf.topk(x, 3)))
add('cumsum', [3, 5], x => tf.cumsum(x, 1))
add('cumsum, exclusive and reverse', [3, 5], x => tf.cumsum(x, 0, true, true))
forward('cumprod', [3, 5], x => tf.cumprod(x, 1))
add('softmax', [4, 7], x => tf.softmax(x))
add('softmax', [2, 3, 5], x => tf.softmax(x))
add('logSoftmax', [4, 7], x => tf.logSoftmax(x))

// products
for (const tA of [false, true]) for (const tB of [false, true]) {
  const t = (shape: number[], swap: boolean) =>
    swap ? [...shape.slice(0, -2), shape.at(-1)!, shape.at(-2)!] : shape
  for (const [a, b] of [[[3, 4], [4, 5]], [[1, 7], [7, 1]], [[2, 3, 4], [2, 4, 5]],
    [[3, 33, 40], [3, 40, 29]], [[2, 2, 3, 4], [2, 2, 4, 5]], [[65, 70], [70, 33]]]) {
    add(`matMul ${tA ? 'ᵀ' : ''}·${tB ? 'ᵀ' : ''}`, [t(a, tA), t(b, tB)], (x, y) =>
      tf.matMul(x, y, tA, tB))
  }
}
add('matMul, one right side', [[4, 3, 5], [1, 5, 6]], (x, y) => tf.matMul(x, y))
add('matMul, one left side', [[1, 3, 5], [4, 5, 6]], (x, y) => tf.matMul(x, y))
forward('matMul, memory used in two shapes', [[2, 3], [2, 2], [6]], (x, y, z) =>
  [tf.matMul(x, tf.reshape(z, [3, 2])), tf.matMul(y, tf.reshape(z, [2, 3]))])
add('dot', [[5], [5]], tf.dot)
add('dot', [[3, 4], [4]], tf.dot)
add('outerProduct', [[3], [4]], tf.outerProduct)
add('attention', [[2, 6, 4], [2, 5, 4], [2, 5, 3]], (q, k, v) =>
  tf.matMul(tf.softmax(tf.div(tf.matMul(q, k, false, true), 2)), v))
const sums: [string, ...number[][]][] = [['ij,jk->ik', [3, 4], [4, 5]], ['ij->ji', [3, 4]],
  ['ijk->j', [2, 3, 4]], ['bhk,bkw->wbh', [2, 3, 4], [2, 4, 5]], ['i,j->ij', [3], [4]],
  ['ij,ij->', [3, 4], [3, 4]], ['nqhd,nkhd->nhqk', [2, 3, 2, 4], [2, 5, 2, 4]]]
for (const [equation, ...shapes] of sums) {
  add(`einsum ${equation}`, shapes, (...xs) => tf.einsum(equation, ...xs))
}

// convolutions: input, filter, stride, padding
type Conv = [number[], number[], number | [number, number], 'same' | 'valid' | number]
const convs: Conv[] = [
  [[2, 7, 6, 3], [3, 3, 3, 4], 1, 'same'], [[2, 7, 6, 3], [3, 3, 3, 4], 1, 'valid'],
  [[2, 7, 6, 3], [3, 3, 3, 4], 2, 'same'], [[2, 8, 6, 3], [3, 3, 3, 4], 2, 'same'],
  [[2, 7, 6, 3], [3, 3, 3, 4], 2, 'valid'], [[1, 11, 9, 2], [3, 3, 2, 5], 3, 'same'],
  [[1, 12, 10, 2], [3, 3, 2, 5], 3, 'valid'], [[2, 5, 5, 3], [1, 1, 3, 8], 1, 'same'],
  [[2, 6, 5, 3], [1, 1, 3, 2], 2, 'same'], [[1, 8, 8, 1], [2, 2, 1, 3], 2, 'valid'],
  [[1, 7, 7, 2], [4, 4, 2, 3], 2, 'same'], [[1, 9, 7, 2], [5, 3, 2, 2], [2, 1], 'same'],
  [[2, 7, 6, 3], [3, 3, 3, 4], 1, 1], [[2, 7, 7, 3], [3, 3, 3, 4], 2, 1],
  [[1, 4, 4, 2], [5, 5, 2, 2], 1, 'same'], [[3, 28, 28, 1], [5, 5, 1, 8], 2, 2]]
for (const [x, w, stride, pad] of convs) {
  add(`conv2d stride ${stride} ${pad}`, [x, w], (x, w) => tf.conv2d(x, w, stride, pad))
}
for (const dilation of [2, 3]) for (const pad of ['same', 'valid'] as const) {
  forward(`conv2d dilation ${dilation} ${pad}`, [[2, 9, 10, 3], [3, 3, 3, 4]], (x, w) =>
    tf.conv2d(x, w, 1, pad, 'NHWC', dilation))
}
for (const [stride, size, pad] of [[1, 5, 'same'], [2, 10, 'same'], [2, 11, 'valid'],
  [3, 15, 'same'], [2, 9, 'same']] as const) {
  add(`conv2dTranspose stride ${stride} ${pad} to ${size}`, [[2, 5, 5, 3], [3, 3, 4, 3]], (x, w) =>
    tf.conv2dTranspose(x, w, [2, size, size, 4], stride, pad))
}
for (const [stride, m, pad] of [[1, 1, 'same'], [1, 2, 'valid'], [2, 1, 'same'], [2, 2, 'same'],
  [3, 1, 'valid']] as const) {
  add(`depthwiseConv2d stride ${stride} ${pad}`, [[2, 8, 7, 3], [3, 3, 3, m]], (x, w) =>
    tf.depthwiseConv2d(x, w, stride, pad))
}
add('conv1d', [[2, 9, 3], [3, 3, 4]], (x, w) => tf.conv1d(x, w, 2, 'same'))
add('separableConv2d', [[1, 6, 6, 2], [3, 3, 2, 2], [1, 1, 4, 3]], (x, d, p) =>
  tf.separableConv2d(x, d, p, 1, 'same'))
add('fused.conv2d', [[2, 6, 5, 3], [3, 3, 3, 4], [4]], (x, filter, bias) =>
  tf.fused.conv2d({ x, filter, strides: 1, pad: 'same', bias, activation: 'relu' }))
add('fused.matMul', [[5, 60], [60, 7], [7]], (a, b, bias) =>
  tf.fused.matMul({ a, b, bias, activation: 'relu' }))
for (const [size, stride, pad] of [[2, 2, 'same'], [2, 2, 'valid'], [3, 2, 'same'],
  [3, 1, 'valid'], [2, 1, 'same'], [7, 1, 'valid']] as const) {
  add(`maxPool ${size} stride ${stride} ${pad}`, [2, 7, 9, 3], x =>
    tf.maxPool(x, size, stride, pad))
  add(`avgPool ${size} stride ${stride} ${pad}`, [2, 7, 9, 3], x =>
    tf.avgPool(x, size, stride, pad))
}

// moving numbers
add('gather rows, one twice', [5, 3], x => tf.gather(x, ints([4, 0, 4, 2])))
add('gather by a matrix', [5, 3], x => tf.gather(x, tf.tensor2d([[1, 2], [1, 0]], [2, 2], 'int32')))
add('gather columns', [3, 5], x => tf.gather(x, ints([1, 1, 3]), 1))
forward('gatherND, scatterND', [4, 3], x =>
  [tf.gatherND(x, tf.tensor2d([[0, 1], [3, 2]], [2, 2], 'int32')),
  tf.scatterND(tf.tensor2d([[1], [3], [1]], [3, 1], 'int32'), tf.slice(x, 0, 3), [5, 3])])
forward('oneHot', [3], () => tf.oneHot(ints([2, 0, 1]), 4))
add('unsortedSegmentSum', [6, 2], x => tf.unsortedSegmentSum(x, ints([2, 0, 2, 1, 0, 2]), 4))
for (const axis of [0, 1, 2]) {
  add(`concat axis ${axis}`, [[2, 3, 4], [2, 3, 4]], (a, b) => tf.concat([a, b], axis))
}
add('concat, unequal', [[2, 3, 2, 4], [2, 3, 2, 1]], (a, b) => tf.concat([a, b], -1))
add('stack, unstack', [[2, 3], [2, 3]], (a, b) => tf.unstack(tf.stack([a, b], 1), 2)[1])
add('split', [4, 6], x => tf.mul(tf.split(x, 3, 1)[1], 2))
add('split, unequal', [4, 6], x => tf.split(x, [1, 3, 2], 1)[1])
for (const [shape, begin, size] of [[[7], [2], [3]], [[4, 5], [1, 2], [2, 2]],
  [[3, 4, 5], [0, 1, 2], [3, 2, 1]], [[2, 3, 4, 5], [1, 0, 1, 2], [1, 2, 3, 2]]]) {
  add('slice', shape, x => tf.slice(x, begin, size))
}
forward('stridedSlice', [6, 7], x =>
  [tf.stridedSlice(x, [0, 1], [6, 7], [2, 3]), tf.stridedSlice(x, [5, 6], [1, 0], [-2, -1])])
for (const shape of [[4], [2, 3], [2, 3, 2], [2, 3, 2, 2]]) {
  const sides = shape.map((_, k): [number, number] => [k, 2])
  add('pad', shape, x => tf.pad(x, sides, 0.5))
}
for (const mode of ['reflect', 'symmetric'] as const) {
  add(`mirrorPad ${mode}`, [3, 4], x => tf.mirrorPad(x, [[1, 2], [2, 1]], mode))
  add(`mirrorPad ${mode}`, [2, 3, 4, 2],
    x => tf.mirrorPad(x, [[0, 0], [1, 1], [2, 0], [0, 0]], mode))
}
add('tile', [2, 3], x => tf.tile(x, [2, 3]))
add('broadcastTo', [3, 1], x => tf.broadcastTo(x, [2, 3, 4]))
for (const axis of [[0], [1], [0, 2]]) add(`reverse ${axis}`, [2, 3, 4], x => tf.reverse(x, axis))
for (const perm of [[1, 0], [0, 2, 1], [2, 0, 1], [0, 3, 1, 2], [3, 1, 2, 0], [0, 2, 1, 3],
  [1, 0, 3, 4, 2], [0, 1, 3, 2, 4, 5], [0, 1, 3, 2, 5, 4]]) {
  add(`transpose ${perm}`, [2, 3, 4, 5, 2, 3].slice(0, perm.length), x => tf.transpose(x, perm))
}
add('reshape, expandDims, squeeze', [2, 6], x =>
  tf.squeeze(tf.expandDims(tf.reshape(x, [3, 1, 4]), 2)))
add('pixel unshuffle', [2, 4, 6, 3], x =>
  tf.reshape(tf.transpose(tf.reshape(x, [2, 2, 2, 3, 2, 3]), [0, 1, 3, 2, 4, 5]), [2, 2, 3, 12]))
add('spaceToBatchND', [2, 4, 6, 1], x => tf.spaceToBatchND(x, [2, 2], [[0, 0], [0, 0]]))
forward('depthToSpace', [2, 3, 3, 8], x => tf.depthToSpace(x, 2))
forward('flipLeftRight', [2, 3, 4, 2], x => tf.image.flipLeftRight(x))
const sizes: [number, number][] = [[8, 10], [12, 5], [3, 4], [7, 9]]
for (const size of sizes) for (const align of [false, true]) {
  add(`resizeNearestNeighbor to ${size} ${align}`, [2, 4, 5, 3], x =>
    tf.image.resizeNearestNeighbor(x, size, align))
  add(`resizeBilinear to ${size} ${align}`, [2, 4, 5, 3], x =>
    tf.image.resizeBilinear(x, size, align))
}
forward('resizeBilinear, half pixels', [2, 4, 5, 3], x =>
  tf.image.resizeBilinear(x, [8, 7], false, true))
forward('eye, linspace, range, fill', [1], () =>
  [tf.eye(3), tf.linspace(0, 1, 7), tf.range(3, -4, -1), tf.fill([2, 3], 5),
  tf.diag(tf.range(0, 3))])
forward('onesLike, zerosLike', [2, 3], x => [tf.onesLike(x), tf.zerosLike(x)])

// layers and steps, as the course writes them
function norm(x: tf.Tensor, axis: number[], g: tf.Tensor, b: tf.Tensor) {
  const { mean, variance } = tf.moments(x, axis, true)
  return tf.add(tf.mul(tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, 1e-5))), g), b)
}
add('layer norm', [[3, 4, 6], [6], [6]], (x, g, b) => norm(x, [-1], g, b))
add('batch norm', [[3, 4, 4, 6], [6], [6]], (x, g, b) => norm(x, [0, 1, 2], g, b))
add('group norm', [[3, 4, 4, 6], [6], [6]], (x, g, b) => tf.add(tf.mul(tf.reshape(
  norm(tf.reshape(x, [3, 16, 2, 3]), [1, 3], tf.scalar(1), tf.scalar(0)), [3, 4, 4, 6]), g), b))
add('tf.batchNorm', [[3, 4, 4, 6], [6], [6]], (x, g, b) =>
  tf.batchNorm(x, tf.mean(x, [0, 1, 2]), tf.onesLike(g), b, g, 1e-3))
add('cross-entropy', [5, 4], x =>
  tf.neg(tf.mean(tf.sum(tf.mul(tf.logSoftmax(x), tf.oneHot(ints([0, 3, 1, 1, 2]), 4)), 1))))
add('losses.softmaxCrossEntropy', [5, 4], x =>
  tf.losses.softmaxCrossEntropy(tf.oneHot(ints([0, 3, 1, 1, 2]), 4), x))
add('losses.sigmoidCrossEntropy', [5, 4], x =>
  tf.losses.sigmoidCrossEntropy(tf.greater(tf.sin(tf.mul(x, 9)), 0), x))
add('cosine similarity', [[4, 6], [5, 6]], (a, b) =>
  tf.matMul(tf.div(a, tf.norm(a, 2, 1, true)), tf.div(b, tf.norm(b, 2, 1, true)), false, true))
const optimizers = { sgd: () => tf.train.sgd(0.1), momentum: () => tf.train.momentum(0.1, 0.9),
  rmsprop: () => tf.train.rmsprop(0.1), adam: () => tf.train.adam(0.1) }
for (const [name, make] of Object.entries(optimizers)) {
  forward(`train.${name}`, [[4, 3], [3, 2]], (x, w) => {
    const v = tf.variable(w), optimizer = make()
    const loss = () => tf.mean(tf.square(tf.matMul(x, v))) as tf.Scalar
    for (let i = 0; i < 3; i++) optimizer.minimize(loss, false, [v])
    return tf.clone(v)
  })
}
forward('seeded random', [1], () =>
  [tf.randomNormal([20], 0, 1, 'float32', 5), tf.randomUniform([20], -1, 2, 'float32', 5),
  tf.truncatedNormal([20], 0, 1, 'float32', 5),
  tf.dropout(tf.ones([20]), 0.4, undefined, 5)])

/** Numbers that look random and are the same everywhere, of [0, 1). */
function numbers(n: number, seed: number): Float32Array {
  let s = seed * 7919 + 12345
  return Float32Array.from({ length: n }, () => (s = (s * 16807) % 2147483647) / 2147483647)
}
function tensor(shape: number[], [from, to]: [number, number], seed: number): tf.Tensor {
  const n = shape.reduce((a, b) => a * b, 1)
  return tf.tensor(numbers(n, seed).map(u => from + (to - from) * u), shape, 'float32')
}

/** The value of a case and, where it has one, the gradient of a weighted sum of it. */
function outputs({ inputs, range, f, isForward }: Case): Inputs {
  const xs = inputs.map((shape, i) => tensor(shape, range, i + 8)), value = f(...xs)
  if (isForward || Array.isArray(value)) return [value].flat()
  const weights = tensor(value.shape, [0.5, 1.5], 99)
  return [value, ...tf.grads((...xs) => tf.sum(tf.mul(f(...xs) as tf.Tensor, weights)))(xs)]
}

/** How far the gradients are from the slope in one direction, relative to their sizes. */
function slopeError({ inputs, range, f }: Case): number {
  const xs = inputs.map((shape, i) => tensor(shape, range, i + 8)), value = f(...xs) as tf.Tensor
  const weights = tensor(value.shape, [0.5, 1.5], 99), step = 1e-3
  const sum = (t: tf.Tensor) => [...t.dataSync<'float32'>()].reduce((a, b) => a + b, 0)
  const total = (xs: Inputs) => sum(tf.mul(f(...xs) as tf.Tensor, weights))
  const directions = inputs.map((shape, i) => tensor(shape, [-1, 1], i + 50))
  const moved = (by: number) => total(xs.map((x, i) => tf.add(x, tf.mul(directions[i], by))))
  const grads = tf.grads((...xs) => tf.sum(tf.mul(f(...xs) as tf.Tensor, weights)))(xs)
  const told = grads.map((g, i) => sum(tf.mul(g, directions[i]))).reduce((a, b) => a + b)
  const size = grads.map(g => sum(tf.abs(g))).reduce((a, b) => a + b)
  return Math.abs((moved(step) - moved(-step)) / (2 * step) - told) / size
}

async function written(t: tf.Tensor): Promise<Output> {
  const data = Float32Array.from(await t.data())
  return { shape: t.shape, dtype: t.dtype, data: Buffer.from(data.buffer).toString('base64') }
}

async function run(c: Case, isSlope: boolean): Promise<Result> {
  try {
    const found = await Promise.all(outputs(c).map(written))
    return { name: c.name, outputs: found,
      slope: isSlope && !c.isForward ? slopeError(c) : undefined }
  } catch (error) { return { name: c.name, error: (error as Error).message } }
}

async function main(backend: string, isSlope: boolean) {
  const line = (x: object) => process.stdout.write(JSON.stringify(x) + '\n')
  try { line({ backend: String(await useBackend(backend)) }) } catch (error) {
    return line({ missing: (error as Error).message })
  }
  for (const c of cases) {
    tf.engine().startScope()
    line(await run(c, isSlope))
    tf.engine().endScope()
  }
}

if (require.main === module) void main(process.argv[2], process.argv[3] === 'slopes')
