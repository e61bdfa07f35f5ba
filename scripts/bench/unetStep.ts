// One training step of a small U-Net (28×28×1, channels 32/64/128, batch 128, Adam): wasm against
// eager tensorflow. Each backend has
// a process of its own that stays alive; they take their steps in turn. `unetStep.ts wasm` is such
// a process.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { tf, useBackend } from 'miniai/engine'
import { row, type Row } from './row'

type Layer = (x: tf.Tensor) => tf.Tensor
const root = join(__dirname, '../..')
export const params: tf.Variable[] = []

function param(t: tf.Tensor): tf.Variable {
  params.push(tf.variable(t))
  return params.at(-1)!
}
const weight = (shape: number[], from: number) =>
  param(tf.randomNormal(shape, 0, from ** -0.5, 'float32', params.length + 1))

function linear(ni: number, no: number): Layer {
  const w = weight([ni, no], ni), b = param(tf.zeros([no]))
  return x => tf.add(tf.matMul(x, w), b)
}

function conv(ni: number, nf: number, ks = 3): Layer {
  const w = weight([ks, ks, ni, nf], ks * ks * ni) as tf.Tensor4D, b = param(tf.zeros([nf]))
  return x => tf.add(tf.conv2d(x as tf.Tensor4D, w, 1, 'same'), b)
}

/** Group norm in steps; the bench of `jit` puts `groupNorm` of miniai/fused in its place. */
export const parts = {
  norm(x: tf.Tensor, scale: tf.Tensor, shift: tf.Tensor, groups: number): tf.Tensor {
    const [n, h, w, c] = x.shape, y = tf.reshape(x, [n, h * w, groups, c / groups])
    const { mean, variance } = tf.moments(y, [1, 3], true)
    const z = tf.mul(tf.sub(y, mean), tf.rsqrt(tf.add(variance, 1e-5)))
    return tf.add(tf.mul(tf.reshape(z, [n, h, w, c]), scale), shift)
  }
}

function groupNorm(nf: number, groups = 8): Layer {
  const scale = param(tf.ones([nf])), shift = param(tf.zeros([nf]))
  return x => parts.norm(x, scale, shift, groups)
}
const silu: Layer = x => tf.mul(x, tf.sigmoid(x))

function block(ni: number, nf: number, nt: number) {
  const [norm1, conv1, time, norm2, conv2] =
    [groupNorm(ni), conv(ni, nf), linear(nt, nf), groupNorm(nf), conv(nf, nf)]
  const skip: Layer = ni === nf ? x => x : conv(ni, nf, 1)
  return (x: tf.Tensor, t: tf.Tensor) => {
    const h = tf.add(conv1(silu(norm1(x))), tf.reshape(time(t), [-1, 1, 1, nf]))
    return tf.add(skip(x), conv2(silu(norm2(h))))
  }
}

/** A U-Net of 605,057 parameters: `(x [n, 28, 28, 1], t [n])` → noise. */
export function unet([c1, c2, c3] = [32, 64, 128], nt = 32, sines = 96) {
  const time = [linear(sines, nt), linear(nt, nt)], first = conv(1, c1)
  const down = [block(c1, c1, nt), block(c1, c2, nt), block(c2, c3, nt)]
  const up = [block(2 * c3, c2, nt), block(2 * c2, c1, nt), block(2 * c1, c1, nt)]
  const norm = groupNorm(c1), last = conv(c1, 1)
  const embed = (t: tf.Tensor) => {
    const rates = tf.exp(tf.mul(tf.range(0, sines / 2), -2 * Math.log(10000) / sines))
    const angles = tf.mul(tf.reshape(t, [-1, 1]), tf.reshape(rates, [1, -1]))
    return time.reduce((x, layer) => silu(layer(x)), tf.concat([tf.sin(angles), tf.cos(angles)], 1))
  }
  const half = (x: tf.Tensor) => tf.avgPool(x as tf.Tensor4D, 2, 2, 'same')
  const twice = (x: tf.Tensor) =>
    tf.image.resizeNearestNeighbor(x as tf.Tensor4D, [2 * x.shape[1]!, 2 * x.shape[2]!])
  return (x: tf.Tensor, t: tf.Tensor) => {
    const e = embed(t), h1 = down[0](first(x), e), h2 = down[1](half(h1), e),
      h3 = down[2](half(h2), e)
    const u1 = twice(up[0](tf.concat([h3, h3], 3), e)), u2 = twice(up[1](tf.concat([u1, h2], 3), e))
    return last(silu(norm(up[2](tf.concat([u2, h1], 3), e))))
  }
}

/** Takes a step for each line that comes in, and answers its seconds and loss. */
async function serve(backend: string) {
  await useBackend(backend)
  const model = unet(), optimizer = tf.train.adam(1e-3), shape = [128, 28, 28, 1]
  const [x, noise] = [7, 8].map(seed => tf.randomNormal(shape, 0, 1, 'float32', seed))
  const t = tf.randomUniform([128], 0, 1000, 'float32', 9)
  console.log(params.reduce((sum, p) => sum + p.size, 0))
  for await (const _ of createInterface(process.stdin)) {
    const start = performance.now()
    const loss = optimizer.minimize(() =>
      tf.mean(tf.square(tf.sub(model(x, t), noise))) as tf.Scalar, true, params)!
    const value = loss.dataSync()[0]
    console.log((performance.now() - start) / 1000, value)
    loss.dispose()
  }
}

/** A process of its own with that backend; each call of the result is a step. */
async function server(backend: string) {
  const args = ['-r', './scripts/load.cjs', __filename, backend]
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  const answer = async () => {
    const { value } = await lines.next()
    if (value === undefined) throw new Error(`bench unetStep: the process on ${backend} ended`)
    return value.split(' ').map(Number) as number[]
  }
  const [size] = await answer()
  return { size, end: () => child.stdin.end(), step: () => (child.stdin.write('\n'), answer()) }
}

/** `rounds` steps each, in turn, after two to warm up; a loss that differs is an error. */
export async function run(_python?: string, rounds = 7): Promise<Row[]> {
  const [ours, peer] = [await server('wasm'), await server('tensorflow')]
  const times: [number, number][] = []
  for (let i = 0; i < rounds + 2; i++) {
    const [[a, lossA], [b, lossB]] = [await ours.step(), await peer.step()]
    const isSame = Math.abs(lossA - lossB) < 1e-3
    if (!isSame) throw new Error(`bench unetStep: the losses ${lossA} and ${lossB} differ`)
    times.push([a, b])
  }
  for (const { end } of [ours, peer]) end()
  const warm = times.slice(2),
    work = `U-Net step (${ours.size} parameters), wasm / tensorflow eager`
  return [row(work, warm.map(t => t[0]), warm.map(t => t[1]), 5)]
}

if (require.main === module && process.argv[2]) void serve(process.argv[2])
else if (require.main === module) void run().then(rows => console.log(rows))
