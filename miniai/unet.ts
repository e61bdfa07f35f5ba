// Do not edit: made by "npm run export" from ../nbs/13_unet.ipynb (1852c9bf44f2)
// The network that sees a noisy picture and says what is noise. Built from blocks that each fit on a screen, with the names that Stable Diffusion gives them, so that one class serves our digits and later its weights.

import { GroupNorm, LayerNorm } from './activations'
import { Conv } from './convnet'
import { tf } from './engine'
import { attend, groupNorm, silu } from './fused'
import { randn } from './random'
import { assignAll } from './safetensors'
import { Linear, Module } from './training'

// %% ../nbs/13_unet.ipynb 3a579163
/** Times t [n] as sines and cosines of `dim / 2` frequencies from 1 down to 1/10000: [n, dim]. */
export function timeSines(t: tf.Tensor, dim: number, { flip = false, shift = 1 } = {}): tf.Tensor {
  const half = dim >> 1, rate = (k: number) => 10000 ** (-k / (half - shift))
  const rates = tf.tensor2d([Array.from({ length: half }, (_, k) => rate(k))])
  const angles = tf.mul(tf.reshape(t, [-1, 1]), rates)
  const both = flip ? [tf.cos(angles), tf.sin(angles)] : [tf.sin(angles), tf.cos(angles)]
  const odd = tf.zeros([t.size, dim % 2])
  return tf.concat(dim % 2 ? [...both, odd] : both, 1)
}

// %% ../nbs/13_unet.ipynb d47213fd
/** Sines [n, ni] → what the blocks are told about the time, [n, nf]. */
export class TimeEmbedding extends Module {
  linear_1: Linear
  linear_2: Linear
  constructor(ni: number, nf: number) {
    super()
    this.linear_1 = new Linear(ni, nf)
    this.linear_2 = new Linear(nf, nf)
  }
  forward(x: tf.Tensor): tf.Tensor { return this.linear_2.call(silu(this.linear_1.call(x))) }
}

// %% ../nbs/13_unet.ipynb b1844b6b
/** Half the size, by a convolution with stride 2. */
export class Downsample extends Module {
  conv: Conv
  constructor(nf: number, public pad = 1) {
    super()
    this.conv = new Conv(nf, nf, { stride: 2 })
  }
  forward(x: tf.Tensor): tf.Tensor {
    if (this.pad) return this.conv.call(x)
    const wide = tf.pad(x, [[0, 0], [0, 1], [0, 1], [0, 0]])
    const { weight, bias } = this.conv, w = weight as tf.Tensor as tf.Tensor4D
    return tf.add(tf.conv2d(wide as tf.Tensor4D, w, 2, 'valid'), bias!)
  }
}

// %% ../nbs/13_unet.ipynb c293a9c9
/** Kernel [3, 3, ni, nf] for repeated pixels → [4, 4, nf, ni], what one pixel paints. */
function brush(kernel: tf.Tensor): tf.Tensor4D {
  const turned = tf.transpose(tf.reverse(kernel, [0, 1]), [0, 1, 3, 2])
  const places = [[0, 0], [0, 1], [1, 0], [1, 1]]
  const laid = places.map(([y, x]) => tf.pad(turned, [[y, 1 - y], [x, 1 - x], [0, 0], [0, 0]]))
  return laid.reduce((a, b) => tf.add(a, b)) as tf.Tensor4D
}

// %% ../nbs/13_unet.ipynb 7e20a4f1
/** Twice the size, or [h, w], by repeating pixels; then a convolution. */
export class Upsample extends Module {
  conv: Conv
  constructor(nf: number) {
    super()
    this.conv = new Conv(nf, nf)
  }
  forward(x: tf.Tensor): tf.Tensor { return this.to(x, [2 * x.shape[1]!, 2 * x.shape[2]!]) }
  to(x: tf.Tensor, size: [h: number, w: number]): tf.Tensor {
    const small = x as tf.Tensor4D, [n, h, w] = small.shape, { weight, bias, nf } = this.conv
    const isTwice = size[0] === 2 * h && size[1] === 2 * w
    if (!isTwice) return this.conv.call(tf.image.resizeNearestNeighbor(small, size))
    const shape: typeof small.shape = [n, 2 * h, 2 * w, nf], kernel = brush(weight as tf.Tensor)
    return tf.add(tf.conv2dTranspose(small, kernel, shape, 2, 'same'), bias!)
  }
}

// %% ../nbs/13_unet.ipynb 70b35259
/** Notebook 09's group norm, computed as in 07b. */
export class FusedGroupNorm extends GroupNorm {
  forward(x: tf.Tensor): tf.Tensor {
    return groupNorm(x, this.weight as tf.Tensor, this.bias as tf.Tensor, this.groups, this.eps)
  }
  get text(): string { return ` of ${this.nf} in ${this.groups}` }
}

// %% ../nbs/13_unet.ipynb 9210bf18
/** What all blocks of a network have in common. `nt`: size of the time embedding, if any. */
export interface BlockOptions { nt?: number, groups: number, eps: number, scaleShift?: boolean }

// %% ../nbs/13_unet.ipynb dfed2add
/** Two convolutions with norms, told the time, around which the input goes as well. */
export class ResBlock extends Module {
  norm1: GroupNorm
  conv1: Conv
  time_emb_proj: Linear | null
  norm2: GroupNorm
  conv2: Conv
  conv_shortcut: Conv | null
  constructor(public ni: number, public nf: number, { nt, groups, eps, scaleShift }: BlockOptions) {
    super()
    this.norm1 = new FusedGroupNorm(groups, ni, eps)
    this.conv1 = new Conv(ni, nf)
    this.time_emb_proj = nt ? new Linear(nt, scaleShift ? 2 * nf : nf) : null
    this.norm2 = new FusedGroupNorm(groups, nf, eps)
    this.conv2 = new Conv(nf, nf)
    this.conv_shortcut = ni === nf ? null : new Conv(ni, nf, { ks: 1 })
  }
  /** `norm2` of h, with what the time says about it before or after. */
  private timed(h: tf.Tensor, temb?: tf.Tensor): tf.Tensor {
    if (!temb) return this.norm2.call(h)
    const t = this.time_emb_proj!.call(silu(temb)), each = tf.reshape(t, [t.shape[0], 1, 1, -1])
    if (each.shape[3] === this.nf) return this.norm2.call(tf.add(h, each))
    const [scale, shift] = tf.split(each, 2, 3)
    return tf.add(tf.mul(this.norm2.call(h), tf.add(scale, 1)), shift)
  }
  forward(x: tf.Tensor, temb?: tf.Tensor): tf.Tensor {
    const h = this.timed(this.conv1.call(silu(this.norm1.call(x))), temb)
    return tf.add(this.conv_shortcut?.call(x) ?? x, this.conv2.call(silu(h)))
  }
  get text(): string { return ` ${this.ni} → ${this.nf}` }
}

// %% ../nbs/13_unet.ipynb 9f7b26bb
/** softmax(q kᵀ / √d + mask) v for each head: q [n, l, c], k and v [n, m, c] → [n, l, c]. */
export function attention(q: tf.Tensor, k: tf.Tensor, v: tf.Tensor,
  heads = 1, mask?: tf.Tensor): tf.Tensor {
  const [n, l, c] = q.shape, d = c / heads
  const split = (x: tf.Tensor) => { // [n · heads, l or m, d]
    const [, m] = x.shape, byHead = tf.transpose(tf.reshape(x, [n, m, heads, d]), [0, 2, 1, 3])
    return tf.reshape(byHead, [n * heads, m, d])
  }
  const mixed = tf.reshape(attend(split(q), split(k), split(v), mask), [n, heads, l, d])
  return tf.reshape(tf.transpose(mixed, [0, 2, 1, 3]), [n, l, c])
}

// %% ../nbs/13_unet.ipynb 28465b41
const flat = (x: tf.Tensor): tf.Tensor => tf.reshape(x, [x.shape[0], -1, x.shape.at(-1)!])

// %% ../nbs/13_unet.ipynb 0a7e51ab
/** A linear layer over the last axis of x [n, l, ni]. */
export function overLast(layer: Linear, x: tf.Tensor): tf.Tensor {
  const [n, l, ni] = x.shape
  return tf.reshape(layer.call(tf.reshape(x, [n * l, ni])), [n, l, layer.nf])
}

// %% ../nbs/13_unet.ipynb f8e080ac
/** How attention is built; `context`: channels of what is looked at, `bias`: of q, k and v. */
export interface AttentionOptions { heads: number, context?: number, bias?: boolean }

// %% ../nbs/13_unet.ipynb 524e78b7
/** Attention of x [n, l, nf] to the context [n, m, context], or to itself. */
export class Attention extends Module {
  to_q: Linear
  to_k: Linear
  to_v: Linear
  to_out: Linear[]
  heads: number
  constructor(public nf: number, { heads, context = nf, bias = false }: AttentionOptions) {
    super()
    const ok = Number.isInteger(nf / heads)
    if (!ok) throw new RangeError(`Attention: ${nf} channels make no ${heads} heads`)
    this.heads = heads
    this.to_q = new Linear(nf, nf, { bias })
    this.to_k = new Linear(context, nf, { bias })
    this.to_v = new Linear(context, nf, { bias })
    this.to_out = [new Linear(nf, nf)]
  }
  forward(x: tf.Tensor, context: tf.Tensor = x): tf.Tensor {
    const q = overLast(this.to_q, x)
    const [k, v] = [this.to_k, this.to_v].map(layer => overLast(layer, context))
    return overLast(this.to_out[0], attention(q, k, v, this.heads))
  }
  get text(): string { return ` of ${this.nf} in ${this.heads} heads` }
}

// %% ../nbs/13_unet.ipynb 659c0d7e
/** Self-attention among the pixels of x [n, h, w, nf], added to x. */
export class ImageAttention extends Attention {
  group_norm: GroupNorm
  constructor(nf: number, { groups, eps, ...rest }:
    AttentionOptions & { groups: number, eps: number }) {
    super(nf, { bias: true, ...rest })
    this.group_norm = new FusedGroupNorm(groups, nf, eps)
  }
  forward(x: tf.Tensor): tf.Tensor {
    return tf.add(x, tf.reshape(super.forward(flat(this.group_norm.call(x))), x.shape))
  }
}

// %% ../nbs/13_unet.ipynb 84584a31
/** x Φ(x), with the exact error function (Hendrycks and Gimpel, 2016). */
export const gelu = (x: tf.Tensor): tf.Tensor =>
  tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1))

// %% ../nbs/13_unet.ipynb 37fe2cea
/** One linear layer to twice nf, then one half times the gelu of the other. */
export class GeGlu extends Module {
  proj: Linear
  constructor(ni: number, nf: number) {
    super()
    this.proj = new Linear(ni, 2 * nf)
  }
  forward(x: tf.Tensor): tf.Tensor {
    const [value, gate] = tf.split(overLast(this.proj, x), 2, -1)
    return tf.mul(value, gelu(gate))
  }
}

// %% ../nbs/13_unet.ipynb 8b5b1b09
/** For each place by itself: nf → 4 nf → nf. In the middle of `net` PyTorch has a dropout. */
export class FeedForward extends Module {
  net: (Module | null)[]
  constructor(nf: number) {
    super()
    this.net = [new GeGlu(nf, 4 * nf), null, new Linear(4 * nf, nf)]
  }
  forward(x: tf.Tensor): tf.Tensor { return overLast(this.net[2] as Linear, this.net[0]!.call(x)) }
}

// %% ../nbs/13_unet.ipynb fc68fed9
/** Attention to itself, to the context, and a small network: x [n, l, nf] → the same. */
export class TransformerBlock extends Module {
  norm1: LayerNorm
  attn1: Attention
  norm2: LayerNorm
  attn2: Attention
  norm3: LayerNorm
  ff: FeedForward
  constructor(nf: number, { heads, context }: AttentionOptions, public onlyCross = false) {
    super()
    this.norm1 = new LayerNorm(nf)
    this.attn1 = new Attention(nf, { heads, context: onlyCross ? context : nf })
    this.norm2 = new LayerNorm(nf)
    this.attn2 = new Attention(nf, { heads, context })
    this.norm3 = new LayerNorm(nf)
    this.ff = new FeedForward(nf)
  }
  forward(x: tf.Tensor, context?: tf.Tensor): tf.Tensor {
    const told = context ? [context] : []
    const y = tf.add(x, this.attn1.call(this.norm1.call(x), ...this.onlyCross ? told : []))
    const z = tf.add(y, this.attn2.call(this.norm2.call(y), ...told))
    return tf.add(z, this.ff.call(this.norm3.call(z)))
  }
}

// %% ../nbs/13_unet.ipynb b06f669e
/** `linear`: the ways in and out; `onlyCross`: no attention to itself. */
export interface TransformerOptions extends AttentionOptions {
  depth?: number
  groups?: number
  linear?: boolean
  onlyCross?: boolean
}

// %% ../nbs/13_unet.ipynb 6fbe7ef1
/** `depth` transformer blocks over the pixels of x [n, h, w, nf], added to x. */
export class Transformer extends Module {
  norm: GroupNorm
  proj_in: Conv | Linear
  transformer_blocks: TransformerBlock[]
  proj_out: Conv | Linear
  constructor(public nf: number, options: TransformerOptions) {
    super()
    const { depth = 1, groups = 32, linear = false, onlyCross = false, ...rest } = options
    const project = () => linear ? new Linear(nf, nf) : new Conv(nf, nf, { ks: 1 })
    const block = () => new TransformerBlock(nf, rest, onlyCross)
    this.norm = new FusedGroupNorm(groups, nf, 1e-6)
    this.proj_in = project()
    this.transformer_blocks = Array.from({ length: depth }, block)
    this.proj_out = project()
  }
  private project(layer: Conv | Linear, x: tf.Tensor, shape: number[]): tf.Tensor {
    return layer instanceof Linear ? overLast(layer, flat(x)) : layer.call(tf.reshape(x, shape))
  }
  forward(x: tf.Tensor, context?: tf.Tensor): tf.Tensor {
    let h = flat(this.project(this.proj_in, this.norm.call(x), x.shape))
    for (const o of this.transformer_blocks) h = context ? o.call(h, context) : o.call(h)
    return tf.add(x, tf.reshape(this.project(this.proj_out, h, x.shape), x.shape))
  }
}

// %% ../nbs/13_unet.ipynb 1b2483c9
/** What follows each residual block, by the beginning of a block's type. */
const attentions = { '': 'none', Attn: 'self', CrossAttn: 'cross' } as const
type Kind = typeof attentions[keyof typeof attentions]

/** What kind of attention a block like "CrossAttnDownBlock2D" has. */
function kindOf(type: string, place: 'Down' | 'Up'): Kind {
  const start = type.replace(new RegExp(`${place}Block2D$`), '')
  if (start !== type && Object.hasOwn(attentions, start)) return attentions[start as 'Attn']
  const known = Object.keys(attentions).map(o => `${o}${place}Block2D`).join(', ')
  throw new Error(`UNet: there is no block "${type}"; there are ${known}`)
}

// %% ../nbs/13_unet.ipynb 63c5eb86
/** How the blocks of one size are made: `attend` makes what follows a residual block. */
export interface StageOptions extends BlockOptions { layers: number, attend?: () => Module }

/** Residual blocks, each with its attention if there is any. */
export abstract class Stage extends Module {
  resnets: ResBlock[] = []
  attentions: Module[] = []
  protected add(ni: number, nf: number, { attend, ...rest }: StageOptions): void {
    this.resnets.push(new ResBlock(ni, nf, rest))
    if (attend) this.attentions.push(attend())
  }
  /** Residual block i and its attention. */
  protected layer(i: number, x: tf.Tensor, temb?: tf.Tensor, context?: tf.Tensor): tf.Tensor {
    const h = this.resnets[i].call(x, ...temb ? [temb] : []), attention = this.attentions[i]
    if (!attention) return h
    return context ? attention.call(h, context) : attention.call(h)
  }
}

// %% ../nbs/13_unet.ipynb 54c373df
/** The blocks of one size on the way down, and the step to half of it. */
export class DownStage extends Stage {
  downsamplers: Downsample[]
  constructor(ni: number, nf: number, { halve, pad, ...rest }:
    StageOptions & { halve: boolean, pad?: number }) {
    super()
    for (let i = 0; i < rest.layers; i++) this.add(i ? nf : ni, nf, rest)
    this.downsamplers = halve ? [new Downsample(nf, pad)] : []
  }
  /** What each layer gives, and the smaller picture last. */
  outputs(x: tf.Tensor, temb?: tf.Tensor, context?: tf.Tensor): tf.Tensor[] {
    const outs = [x]
    for (const i of this.resnets.keys()) outs.push(this.layer(i, outs.at(-1)!, temb, context))
    for (const o of this.downsamplers) outs.push(o.call(outs.at(-1)!))
    return outs.slice(1)
  }
  forward(x: tf.Tensor, temb?: tf.Tensor, context?: tf.Tensor): tf.Tensor {
    return this.outputs(x, temb, context).at(-1)!
  }
}

// %% ../nbs/13_unet.ipynb 02f74856
/** The blocks at the smallest size: a residual block, and after each attention one more. */
export class MidStage extends Stage {
  constructor(nf: number, options: StageOptions) {
    super()
    this.add(nf, nf, options)
    if (options.attend) this.resnets.push(new ResBlock(nf, nf, options))
  }
  forward(x: tf.Tensor, temb?: tf.Tensor, context?: tf.Tensor): tf.Tensor {
    return this.resnets.reduce((h, _, i) => this.layer(i, h, temb, context), x)
  }
}

// %% ../nbs/13_unet.ipynb 1c7afab9
/** The blocks of one size on the way up, with skips of `widths`, the last first; then Upsample. */
export class UpStage extends Stage {
  upsamplers: Upsample[]
  constructor(ni: number, nf: number, { double, widths, ...rest }:
    StageOptions & { double: boolean, widths: number[] }) {
    super()
    for (let i = 0; i < rest.layers; i++) this.add((i ? nf : ni) + widths.pop()!, nf, rest)
    this.upsamplers = double ? [new Upsample(nf)] : []
  }
  /** Takes as many skips from the end as there are layers; grows to the size of the next one. */
  join(x: tf.Tensor, skips: tf.Tensor[], temb: tf.Tensor, context?: tf.Tensor): tf.Tensor {
    const h = this.resnets.reduce((h, _, i) =>
      this.layer(i, tf.concat([h, skips.pop()!], 3), temb, context), x)
    const [, height, width] = skips.at(-1)?.shape ?? []
    return this.upsamplers.reduce((h, o) => o.to(h, [height!, width!]), h)
  }
  forward(x: tf.Tensor, temb: tf.Tensor, ...skips: tf.Tensor[]): tf.Tensor {
    return this.join(x, skips, temb)
  }
}

// %% ../nbs/13_unet.ipynb 305f73d4
/** One value for all sizes, or one for each. */
export type Each<T> = T | T[]

/** What a U-Net is made of: the keys of Stable Diffusion's config.json in camelCase. */
export interface UNetConfig {
  inChannels?: number
  outChannels?: number
  centerInputSample?: boolean
  blockOutChannels?: number[]
  downBlockTypes?: string[]
  midBlockType?: string | null
  upBlockTypes?: string[]
  layersPerBlock?: Each<number>
  attentionHeadDim?: Each<number | null>
  crossAttentionDim?: Each<number>
  transformerLayersPerBlock?: Each<number>
  onlyCrossAttention?: Each<boolean>
  useLinearProjection?: boolean
  normNumGroups?: number
  normEps?: number
  flipSinToCos?: boolean
  freqShift?: number
  downsamplePadding?: number
  resnetTimeScaleShift?: string
  numClassEmbeds?: number | null
  convInKernel?: number
  convOutKernel?: number
}

// %% ../nbs/13_unet.ipynb 8e366164
/** Stable Diffusion 1's configuration, which stands for what another one leaves out. */
export const sdUNet = {
  inChannels: 4, outChannels: 4, centerInputSample: false, blockOutChannels: [320, 640, 1280, 1280],
  downBlockTypes: [...Array(3).fill('CrossAttnDownBlock2D'), 'DownBlock2D'],
  midBlockType: 'UNetMidBlock2DCrossAttn',
  upBlockTypes: ['UpBlock2D', ...Array(3).fill('CrossAttnUpBlock2D')],
  layersPerBlock: 2, attentionHeadDim: 8, crossAttentionDim: 768, transformerLayersPerBlock: 1,
  onlyCrossAttention: false, useLinearProjection: false, normNumGroups: 32, normEps: 1e-5,
  flipSinToCos: true, freqShift: 0, downsamplePadding: 1, resnetTimeScaleShift: 'default',
  numClassEmbeds: null, convInKernel: 3, convOutKernel: 3
} satisfies UNetConfig as Required<UNetConfig>

// %% ../nbs/13_unet.ipynb 2df2267c
/** The keys of a config.json in our spelling: `block_out_channels` → `blockOutChannels`. */
export function camelKeys<T extends object>(json: object): T {
  const camel = (key: string) => key.replace(/_(\w)/g, (_, c: string) => c.toUpperCase())
  return Object.fromEntries(Object.entries(json).map(([key, v]) => [camel(key), v])) as T
}

// %% ../nbs/13_unet.ipynb 083b58b2
type Config = Required<UNetConfig>
/** `x`, or its entry for size i. */
const each = <T>(x: Each<T>, i: number): T => Array.isArray(x) ? x.at(i)! : x

/** Makes attention of a kind for size i; `headDim` is that of blocks with self-attention. */
function attendAs(kind: Kind, i: number, c: Config, headDim = each(c.attentionHeadDim, i)) {
  const nf = each(c.blockOutChannels, i), groups = c.normNumGroups
  if (kind === 'none') return undefined
  if (kind === 'self') return () =>
    new ImageAttention(nf, { heads: Math.floor(nf / (headDim ?? nf)), groups, eps: c.normEps })
  return () => new Transformer(nf, { heads: each(c.attentionHeadDim, i) ?? 1, groups,
    context: each(c.crossAttentionDim, i), depth: each(c.transformerLayersPerBlock, i),
    linear: c.useLinearProjection, onlyCross: each(c.onlyCrossAttention, i) })
}

// %% ../nbs/13_unet.ipynb 8ea64b20
/** A table with a row for each class: labels [n], or shares [n, classes], → [n, nf]. */
export class Embedding extends Module {
  weight: tf.Variable
  constructor(public classes: number, public nf: number) {
    super()
    this.weight = tf.tidy(() => tf.variable(randn([classes, nf])))
  }
  forward(y: tf.Tensor): tf.Tensor {
    const shares = y.rank === 1 ? tf.oneHot(tf.cast(y, 'int32'), this.classes) : y
    return tf.matMul(tf.cast(shares, 'float32'), this.weight as tf.Tensor)
  }
  get text(): string { return ` of ${this.classes} in ${this.nf}` }
}

// %% ../nbs/13_unet.ipynb cd5b6051
function optionsOf(c: Config, i: number): StageOptions {
  const scaleShift = c.resnetTimeScaleShift === 'scale_shift', layers = each(c.layersPerBlock, i)
  const { blockOutChannels: [first], normNumGroups: groups, normEps: eps } = c
  return { nt: 4 * first, groups, eps, scaleShift, layers }
}

/** The stages on the way down, and the channels of all skips. */
function downStages(c: Config): { stages: DownStage[], widths: number[] } {
  const { blockOutChannels: nfs } = c, widths = [nfs[0]]
  const stages = nfs.map((nf, i) => {
    const attend = attendAs(kindOf(c.downBlockTypes[i], 'Down'), i, c), halve = i + 1 < nfs.length
    const options = { ...optionsOf(c, i), attend, halve, pad: c.downsamplePadding }
    widths.push(...Array(options.layers + Number(halve)).fill(nf))
    return new DownStage(nfs[Math.max(0, i - 1)], nf, options)
  })
  return { stages, widths }
}

// %% ../nbs/13_unet.ipynb 0f5698e6
function midStage(c: Config): MidStage | null {
  const kinds: Record<string, Kind> = { UNetMidBlock2D: 'none', UNetMidBlock2DCrossAttn: 'cross' }
  const { midBlockType: type, blockOutChannels: nfs } = c
  if (type === null) return null
  const isKnown = Object.hasOwn(kinds, type), names = Object.keys(kinds).join(', ')
  if (!isKnown) throw new Error(`UNet: there is no block "${type}"; there are ${names}`)
  return new MidStage(nfs.at(-1)!, { ...optionsOf(c, -1), attend: attendAs(kinds[type], -1, c) })
}

// %% ../nbs/13_unet.ipynb b81bf97b
/** The stages on the way up, one layer more in each than on the way down. */
function upStages(c: Config, widths: number[]): UpStage[] {
  const { blockOutChannels: nfs } = c
  return nfs.map((_, i) => {
    const k = nfs.length - 1 - i, options = optionsOf(c, k), headDim = each(c.attentionHeadDim, i)
    const attend = attendAs(kindOf(c.upBlockTypes[i], 'Up'), k, c, headDim)
    const more = { attend, double: k > 0, widths, layers: options.layers + 1 }
    return new UpStage(nfs[Math.min(k + 1, nfs.length - 1)], nfs[k], { ...options, ...more })
  })
}

// %% ../nbs/13_unet.ipynb 5f61d6d2
/** The configuration, if a U-Net can be made of it. */
function checked(c: Config): Config {
  const n = c.blockOutChannels.length, { normNumGroups: groups } = c
  for (const key of ['downBlockTypes', 'upBlockTypes'] as const) {
    if (c[key].length !== n) throw new Error(`UNet: ${n} blockOutChannels, ${c[key].length} ${key}`)
  }
  const odd = c.blockOutChannels.find(nf => nf % groups)
  if (odd) throw new Error(`UNet: ${odd} channels make no ${groups} groups (normNumGroups)`)
  const shift = c.resnetTimeScaleShift, isKnown = ['default', 'scale_shift'].includes(shift)
  if (isKnown) return c
  throw new Error(`UNet: resnetTimeScaleShift is default or scale_shift, got "${shift}"`)
}

// %% ../nbs/13_unet.ipynb c0d171a5
/** What steers a U-Net besides the time: a `context` [n, m, c] for its transformers, classes y. */
export interface Conditions { context?: tf.Tensor, y?: tf.Tensor }

// %% ../nbs/13_unet.ipynb 07116c15
function checkInputs(c: Config, [x, t]: tf.Tensor[], { context, y }: Conditions): void {
  const types = [...c.downBlockTypes, c.midBlockType ?? '', ...c.upBlockTypes], [n] = x.shape
  const isCross = types.some(o => o.includes('CrossAttn')), width = each(c.crossAttentionDim, 0)
  const refuse = (wanted: string, got?: tf.Tensor): never => {
    throw new Error(`UNet: wanted ${wanted}, got ${got ? `[${got.shape}]` : 'none'}`)
  }
  if (x.rank !== 4 || x.shape[3] !== c.inChannels) refuse(`x [n, h, w, ${c.inChannels}]`, x)
  if (t.rank !== 1 || ![1, n].includes(t.shape[0])) refuse(`times [${n}]`, t)
  if (!isCross && context) refuse('no context, for it has no cross-attention', context)
  const fits = context?.rank === 3 && context.shape[0] === n && context.shape[2] === width
  if (isCross && !fits) refuse(`a context [${n}, m, ${width}]`, context)
  if (Boolean(c.numClassEmbeds) !== Boolean(y)) refuse(y ? 'no classes' : `classes y [${n}]`, y)
  const isRow = y?.rank === 1 || y?.rank === 2 && y.shape[1] === c.numClassEmbeds
  const isY = isRow && [1, n].includes(y!.shape[0])
  if (y && !isY) refuse(`classes y [${n}] or their shares [${n}, ${c.numClassEmbeds}]`, y)
}

// %% ../nbs/13_unet.ipynb 228a1ce0
/** The network of Stable Diffusion 1 in any size: x [n, h, w, c] and times t [n] → its answer. */
export class UNet extends Module {
  config: Required<UNetConfig>
  conv_in: Conv
  time_embedding: TimeEmbedding
  class_embedding: Embedding | null
  down_blocks: DownStage[]
  mid_block: MidStage | null
  up_blocks: UpStage[]
  conv_norm_out: GroupNorm
  conv_out: Conv
  constructor(config: UNetConfig = {}) {
    super()
    const c = this.config = checked({ ...sdUNet, ...config }), [first] = c.blockOutChannels
    const { stages, widths } = downStages(c), { numClassEmbeds } = c
    this.conv_in = new Conv(c.inChannels, first, { ks: c.convInKernel })
    this.time_embedding = new TimeEmbedding(first, 4 * first)
    this.class_embedding = numClassEmbeds ? new Embedding(numClassEmbeds, 4 * first) : null
    this.down_blocks = stages
    this.mid_block = midStage(c)
    this.up_blocks = upStages(c, widths)
    this.conv_norm_out = new FusedGroupNorm(c.normNumGroups, first, c.normEps)
    this.conv_out = new Conv(first, c.outChannels, { ks: c.convOutKernel })
  }

  /** What the blocks are told: the time, and the class if there are classes. */
  private embed(t: tf.Tensor, y?: tf.Tensor): tf.Tensor {
    const { blockOutChannels: [first], flipSinToCos: flip, freqShift: shift } = this.config
    const time = this.time_embedding.call(timeSines(t, first, { flip, shift }))
    return y ? tf.add(time, this.class_embedding!.call(y)) : time
  }
  /** A tensor as the last argument is a context. */
  forward(x: tf.Tensor, t: tf.Tensor, conditions: Conditions | tf.Tensor = {}): tf.Tensor {
    const { context, y }: Conditions =
      conditions instanceof tf.Tensor ? { context: conditions } : conditions
    checkInputs(this.config, [x, t], { context, y })
    const temb = this.embed(t, y)
    const start = this.config.centerInputSample ? tf.sub(tf.mul(x, 2), 1) : x
    const skips = [this.conv_in.call(start)]
    for (const o of this.down_blocks) skips.push(...o.outputs(skips.at(-1)!, temb, context))
    let h = this.mid_block?.call(skips.at(-1)!, temb, ...context ? [context] : []) ?? skips.at(-1)!
    for (const o of this.up_blocks) h = o.join(h, skips, temb, context)
    return this.conv_out.call(silu(this.conv_norm_out.call(h)))
  }
}

// %% ../nbs/13_unet.ipynb 79f1c0d2
/** A network for digits folded to [n, 14, 14, 4]; classes 0 … 9, and 10 for "any digit". */
export const digitsUNet = (): UNet => new UNet({
  inChannels: 4, outChannels: 4, blockOutChannels: [32, 80], layersPerBlock: 1, normNumGroups: 8,
  downBlockTypes: ['DownBlock2D', 'AttnDownBlock2D'], midBlockType: 'UNetMidBlock2D',
  upBlockTypes: ['AttnUpBlock2D', 'UpBlock2D'], attentionHeadDim: 20,
  resnetTimeScaleShift: 'scale_shift', numClassEmbeds: 11
})

// %% ../nbs/13_unet.ipynb d39c1fe7
/** A weight `x` called `name` as PyTorch stores it → as our layers have it. */
export function fromTorch(name: string, x: tf.Tensor): tf.Tensor {
  if (x.rank === 4) return tf.transpose(x, [2, 3, 1, 0]) // [out, in, h, w] → [h, w, in, out]
  const isTable = /embedding\.weight$/.test(name)
  return x.rank === 2 && !isTable ? tf.transpose(x) : tf.clone(x)
}

// %% ../nbs/13_unet.ipynb a5e29bac
/** Give a model weights in PyTorch's layout by their names, or refuse; `what` is named. */
export function assignTorch(model: Module, tensors: Record<string, tf.Tensor>, what: string): void {
  const turned = Object.entries(tensors).map(([name, x]) => [name, fromTorch(name, x)])
  const ours: Record<string, tf.Tensor> = Object.fromEntries(turned)
  try { assignAll(model.state(), ours, what) } finally { tf.dispose(ours) }
}
