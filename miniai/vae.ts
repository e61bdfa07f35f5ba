// Do not edit: made by "npm run export" from ../nbs/19_vae.ipynb (f16f2eac28e7)
// A picture told in 48 times fewer numbers, and told so that a diffusion model can speak the language: from two numbers a digit to the autoencoder of Stable Diffusion.

import { join } from 'path'
import { GroupNorm } from './activations'
import { Conv } from './convnet'
import { mse } from './ddpm'
import { tf } from './engine'
import { silu } from './fused'
import { JitRandom, jit } from './jit'
import { Learner, TrainCB } from './learner'
import { randn } from './random'
import { loadModel } from './safetensors'
import { Module, underSeed } from './training'
import { DownStage, FusedGroupNorm, ImageAttention, MidStage, ResBlock, Stage, StageOptions,
  Upsample } from './unet'

// %% ../nbs/19_vae.ipynb 0e76e699
/** What an encoder says of pictures: normal numbers with a mean and log σ², of the same shape. */
export class Posterior {
  logVariance: tf.Tensor
  constructor(public mean: tf.Tensor, logVariance: tf.Tensor) {
    this.logVariance = tf.clipByValue(logVariance, -30, 20)
  }
  /** The likeliest numbers: the mean. */
  mode(): tf.Tensor { return this.mean }
  /** μ + σ ε. Kingma and Welling (2013), section 2.4. */
  at(eps: tf.Tensor): tf.Tensor {
    return tf.add(this.mean, tf.mul(tf.exp(tf.div(this.logVariance, 2)), eps))
  }
  /** Numbers drawn from it; with a seed the same ones each time. */
  sample(seed?: number): tf.Tensor {
    const draw = () => tf.tidy(() => this.at(randn(this.mean.shape)))
    return seed === undefined ? draw() : underSeed(seed, draw)
  }
  /** How far each number is from mean 0 and σ 1: (μ² + σ² − log σ² − 1) / 2. */
  kl(): tf.Tensor {
    const { mean, logVariance } = this
    return tf.div(tf.sub(tf.add(tf.square(mean), tf.exp(logVariance)), tf.add(logVariance, 1)), 2)
  }
}

// %% ../nbs/19_vae.ipynb 205bc099
/** A model that writes pictures down and reads them back. */
export interface Coder extends Module {
  encode(x: tf.Tensor): Posterior
  decode(z: tf.Tensor): tf.Tensor
}

// %% ../nbs/19_vae.ipynb 4f15fe49
/** Trains a coder on pictures, 0 … 1, by their error + β · mean KL, of pictures from −1 to 1. */
export class VaeCB extends TrainCB {
  draws: JitRandom
  constructor(public beta: number, seed = 42) {
    super()
    this.draws = new JitRandom(seed)
  }
  /** How far off y is: the mean square. */
  error(y: tf.Tensor, x: tf.Tensor): tf.Tensor { return mse(y, x) }
  predict(learn: Learner, xb: tf.Tensor): tf.Tensor { return tf.sub(tf.mul(xb, 2), 1) }
  getLoss({ model }: Learner, x: tf.Tensor): tf.Tensor {
    const { encode, decode } = model as Coder
    const q = encode.call(model, x), z = q.at(this.draws.normal(q.mean.shape))
    return tf.add(this.error(decode.call(model, z), x), tf.mul(tf.mean(q.kl()), this.beta))
  }
  getState(): unknown { return [...this.draws.state.dataSync()] }
  setState(state: number[]): void {
    tf.tidy(() => this.draws.state.assign(tf.tensor1d(state, 'int32')))
  }
}

// %% ../nbs/19_vae.ipynb ca5b2a3f
/** The blocks of one size in the decoder, and the step to twice the size. */
export class DecoderStage extends Stage {
  upsamplers: Upsample[]
  constructor(ni: number, nf: number, { double, ...rest }: StageOptions & { double: boolean }) {
    super()
    for (let i = 0; i < rest.layers; i++) this.add(i ? nf : ni, nf, rest)
    this.upsamplers = double ? [new Upsample(nf)] : []
  }
  forward(x: tf.Tensor): tf.Tensor {
    const h = this.resnets.reduce((h, _, i) => this.layer(i, h), x)
    return this.upsamplers.reduce((h, o) => o.call(h), h)
  }
}

// %% ../nbs/19_vae.ipynb e2b40fb9
/** What a VAE is made of: the keys of Stable Diffusion's config.json in camelCase. */
export interface VAEConfig {
  inChannels?: number
  outChannels?: number
  blockOutChannels?: number[]
  downBlockTypes?: string[]
  upBlockTypes?: string[]
  layersPerBlock?: number
  latentChannels?: number
  normNumGroups?: number
  actFn?: string
  midBlockAddAttention?: boolean
  useQuantConv?: boolean
  usePostQuantConv?: boolean
  scalingFactor?: number
  sampleSize?: number
}

// %% ../nbs/19_vae.ipynb a197f63f
/** Stable Diffusion 1's configuration, which stands for what another one leaves out. */
export const sdVAE = {
  inChannels: 3, outChannels: 3, blockOutChannels: [128, 256, 512, 512],
  downBlockTypes: Array<string>(4).fill('DownEncoderBlock2D'),
  upBlockTypes: Array<string>(4).fill('UpDecoderBlock2D'), layersPerBlock: 2, latentChannels: 4,
  normNumGroups: 32, actFn: 'silu', midBlockAddAttention: true, useQuantConv: true,
  usePostQuantConv: true, scalingFactor: 0.18215, sampleSize: 512
} satisfies VAEConfig as Required<VAEConfig>

// %% ../nbs/19_vae.ipynb b0745277
type Config = Required<VAEConfig>
const eps = 1e-6

/** Whether a block like "AttnDownEncoderBlock2D" attends. */
function attends(type: string, place: 'DownEncoder' | 'UpDecoder'): boolean {
  const known = [`${place}Block2D`, `Attn${place}Block2D`]
  if (known.includes(type)) return type === known[1]
  throw new Error(`VAE: there is no block "${type}"; there are ${known.join(', ')}`)
}
function optionsOf(c: Config, nf: number, isAttending: boolean): StageOptions {
  const { normNumGroups: groups, layersPerBlock: layers } = c
  const attend = () => new ImageAttention(nf, { heads: 1, groups, eps })
  return { layers, groups, eps, attend: isAttending ? attend : undefined }
}
/** Two residual blocks at the smallest size, with attention between them or without. */
function middle(c: Config): MidStage {
  const nf = c.blockOutChannels.at(-1)!, options = optionsOf(c, nf, c.midBlockAddAttention)
  const mid = new MidStage(nf, options)
  if (!options.attend) mid.resnets.push(new ResBlock(nf, nf, options))
  return mid
}

// %% ../nbs/19_vae.ipynb 14fba78e
/** Pictures [n, h, w, c] → for each latent a mean and log σ²: [n, h/8, w/8, 2 · 4]. */
export class Encoder extends Module {
  conv_in: Conv
  down_blocks: DownStage[]
  mid_block: MidStage
  conv_norm_out: GroupNorm
  conv_out: Conv
  constructor(c: Required<VAEConfig>) {
    super()
    const { blockOutChannels: nfs, downBlockTypes: types } = c, last = nfs.at(-1)!
    this.conv_in = new Conv(c.inChannels, nfs[0])
    this.down_blocks = nfs.map((nf, i) => new DownStage(nfs[Math.max(0, i - 1)], nf,
      { ...optionsOf(c, nf, attends(types[i], 'DownEncoder')), halve: i + 1 < nfs.length, pad: 0 }))
    this.mid_block = middle(c)
    this.conv_norm_out = new FusedGroupNorm(c.normNumGroups, last, eps)
    this.conv_out = new Conv(last, 2 * c.latentChannels)
  }
  forward(x: tf.Tensor): tf.Tensor {
    const start = this.conv_in.call(x), h = this.down_blocks.reduce((h, o) => o.call(h), start)
    return this.conv_out.call(silu(this.conv_norm_out.call(this.mid_block.call(h))))
  }
}

// %% ../nbs/19_vae.ipynb d9193c05
/** Latents [n, h/8, w/8, 4] → pictures [n, h, w, c]. */
export class Decoder extends Module {
  conv_in: Conv
  mid_block: MidStage
  up_blocks: DecoderStage[]
  conv_norm_out: GroupNorm
  conv_out: Conv
  constructor(c: Required<VAEConfig>) {
    super()
    const nfs = [...c.blockOutChannels].reverse(), { upBlockTypes: types } = c, last = nfs.at(-1)!
    this.conv_in = new Conv(c.latentChannels, nfs[0])
    this.mid_block = middle(c)
    this.up_blocks = nfs.map((nf, i) => {
      const options = optionsOf(c, nf, attends(types[i], 'UpDecoder')), double = i + 1 < nfs.length
      const more = { layers: options.layers + 1, double }
      return new DecoderStage(nfs[Math.max(0, i - 1)], nf, { ...options, ...more })
    })
    this.conv_norm_out = new FusedGroupNorm(c.normNumGroups, last, eps)
    this.conv_out = new Conv(last, c.outChannels)
  }
  forward(z: tf.Tensor): tf.Tensor {
    const start = this.mid_block.call(this.conv_in.call(z))
    const h = this.up_blocks.reduce((h, o) => o.call(h), start)
    return this.conv_out.call(silu(this.conv_norm_out.call(h)))
  }
}

// %% ../nbs/19_vae.ipynb a8474eed
/** The configuration, if a VAE can be made of it. */
function checked(c: Config): Config {
  const { blockOutChannels: nfs, normNumGroups: groups } = c, n = nfs.length
  for (const key of ['downBlockTypes', 'upBlockTypes'] as const) {
    if (c[key].length !== n) throw new Error(`VAE: ${n} blockOutChannels, ${c[key].length} ${key}`)
  }
  const odd = nfs.find(nf => nf % groups)
  if (odd) throw new Error(`VAE: ${odd} channels make no ${groups} groups (normNumGroups)`)
  const isKnown = ['silu', 'swish'].includes(c.actFn)
  if (!isKnown) throw new Error(`VAE: actFn is silu (or swish, its other name), got "${c.actFn}"`)
  return c
}

function checkInput(x: tf.Tensor, c: number, what: string, factor = 1): void {
  const [n, h, w] = x.shape, isRight = x.rank === 4 && x.shape[3] === c && n && h && w
  const sides = factor > 1 ? ` with sides that are multiples of ${factor}` : ''
  const fits = isRight && h % factor === 0 && w % factor === 0
  if (!fits) throw new Error(`VAE: wanted ${what} [n, h, w, ${c}]${sides}, got [${x.shape}]`)
}

// %% ../nbs/19_vae.ipynb f7dc8493
/** Stable Diffusion 1's autoencoder in any size. Its latents are not scaled yet. */
export class VAE extends Module {
  config: Required<VAEConfig>
  encoder: Encoder
  decoder: Decoder
  quant_conv: Conv | null
  post_quant_conv: Conv | null
  constructor(config: VAEConfig = {}) {
    super()
    const c = this.config = checked({ ...sdVAE, ...config }), n = c.latentChannels
    this.encoder = new Encoder(c)
    this.decoder = new Decoder(c)
    this.quant_conv = c.useQuantConv ? new Conv(2 * n, 2 * n, { ks: 1 }) : null
    this.post_quant_conv = c.usePostQuantConv ? new Conv(n, n, { ks: 1 }) : null
  }
  /** How many times smaller the latents are each way. */
  get factor(): number { return 2 ** (this.config.blockOutChannels.length - 1) }
  /** Pictures [n, h, w, 3], −1 … 1 → their latents [n, h/8, w/8, 4]. */
  encode(x: tf.Tensor): Posterior {
    checkInput(x, this.config.inChannels, 'pictures', this.factor)
    const h = this.encoder.call(x), both = this.quant_conv?.call(h) ?? h
    const [mean, logVariance] = tf.split(both, 2, 3)
    return new Posterior(mean, logVariance)
  }
  /** Latents [n, h/8, w/8, 4] → pictures [n, h, w, 3], −1 … 1 or a little more. */
  decode(z: tf.Tensor): tf.Tensor {
    checkInput(z, this.config.latentChannels, 'latents')
    return this.decoder.call(this.post_quant_conv?.call(z) ?? z)
  }
  /** There and back, by the likeliest latents. */
  forward(x: tf.Tensor): tf.Tensor { return this.decode(this.encode(x).mode()) }
}

// %% ../nbs/19_vae.ipynb 30cdffc0
/** The autoencoder of notebook 19: pictures of 64×64 of captioned digits ↔ 8×8 places. */
export const digitsVAE = (): VAE => new VAE({ blockOutChannels: [16, 16, 32, 64], layersPerBlock: 1,
  normNumGroups: 4, sampleSize: 64 })

// %% ../nbs/19_vae.ipynb c6e6f211
type Pass = (x: tf.Tensor, scale: tf.Tensor) => tf.Tensor
const passes = new WeakMap<VAE, { encode: Pass, decode: Pass }>()

function passesOf(vae: VAE): { encode: Pass, decode: Pass } {
  const known = passes.get(vae) ?? {
    encode: jit((x: tf.Tensor, scale: tf.Tensor) =>
      tf.mul(vae.encode(tf.sub(tf.mul(x, 2), 1)).mode(), scale)),
    decode: jit((z: tf.Tensor, scale: tf.Tensor) =>
      tf.clipByValue(tf.div(tf.add(vae.decode(tf.div(z, scale)), 1), 2), 0, 1)) }
  passes.set(vae, known)
  return known
}
const byParts = (pass: Pass, vae: VAE, x: tf.Tensor, bs: number) => tf.tidy(() => {
  const starts = Array.from({ length: Math.ceil(x.shape[0] / bs) }, (_, i) => i * bs)
  const part = (i: number) => tf.slice(x, [i], [Math.min(bs, x.shape[0] - i)])
  const scale = tf.scalar(vae.config.scalingFactor)
  return tf.concat(starts.map(i => pass(part(i), scale))) as tf.Tensor4D
})

// %% ../nbs/19_vae.ipynb 59d77299
/** Pictures [n, h, w, 3], 0 … 1 → scaled latents [n, h/8, w/8, 4], `bs` at a time. */
export function toLatents(vae: VAE, x: tf.Tensor, bs = 64): tf.Tensor4D {
  checkInput(x, vae.config.inChannels, 'pictures', vae.factor)
  return byParts(passesOf(vae).encode, vae, x, bs)
}

// %% ../nbs/19_vae.ipynb 7a431e17
/** Scaled latents [n, h/8, w/8, 4] → pictures [n, h, w, 3], 0 … 1, `bs` at a time. */
export function toPictures(vae: VAE, z: tf.Tensor, bs = 64): tf.Tensor4D {
  checkInput(z, vae.config.latentChannels, 'latents')
  return byParts(passesOf(vae).decode, vae, z, bs)
}

// %% ../nbs/19_vae.ipynb 709930ce
/** The trained autoencoder of `nbs/models`, or the one in `path`. */
export function loadVAE(path = join(__dirname, '../nbs/models/vae.safetensors')): VAE {
  const vae = digitsVAE(), { scalingFactor } = loadModel(path, vae)
  vae.config.scalingFactor = Number(scalingFactor)
  return vae.train(false)
}

// %% ../nbs/19_vae.ipynb 5a7b9eee
/** 10 log₁₀ (1 / mean (x − y)²) for each of pictures x and y [n, h, w, c], 0 … 1: [n], in dB. */
export function psnr(x: tf.Tensor, y: tf.Tensor): tf.Tensor {
  const error = tf.mean(tf.squaredDifference(x, y), [1, 2, 3])
  return tf.div(tf.log(tf.add(error, 1e-10)), -Math.LN10 / 10)
}
