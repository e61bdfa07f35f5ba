// Sampling 64 guided digits in 20 steps, compiled by `jit`, beside the same U-Net with the same
// weights in eager PyTorch on as many threads: DDIM there and here, so that both do the same sums.
import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { tf, useBackend } from 'miniai/engine'
import { cfg, digitsSchedule, loadGuided } from 'miniai/guidance'
import { saveTensors } from 'miniai/safetensors'
import { sample } from 'miniai/samplers'
import { startPeer } from '../peer'
import { row, type Row } from './row'

const n = 64, steps = 20, g = 2

// Stable Diffusion's blocks as diffusers has them, so far as the digits' network uses them.
const python3 = `
import json, struct, torch
from torch import nn
import torch.nn.functional as F
torch.set_num_threads(${availableParallelism()})
class Res(nn.Module):
  def __init__(self, ni, nf, nt=128):
    super().__init__()
    self.norm1, self.conv1 = nn.GroupNorm(8, ni), nn.Conv2d(ni, nf, 3, padding=1)
    self.time_emb_proj = nn.Linear(nt, 2 * nf)
    self.norm2, self.conv2 = nn.GroupNorm(8, nf), nn.Conv2d(nf, nf, 3, padding=1)
    if ni != nf: self.conv_shortcut = nn.Conv2d(ni, nf, 1)
  def forward(self, x, t):
    h = self.conv1(F.silu(self.norm1(x)))
    scale, shift = self.time_emb_proj(F.silu(t))[:, :, None, None].chunk(2, 1)
    h = self.conv2(F.silu(self.norm2(h) * (1 + scale) + shift))
    return h + (self.conv_shortcut(x) if hasattr(self, 'conv_shortcut') else x)
class Attn(nn.Module):
  def __init__(self, nf, heads=4):
    super().__init__()
    self.heads, self.group_norm = heads, nn.GroupNorm(8, nf)
    self.to_q, self.to_k, self.to_v = nn.Linear(nf, nf), nn.Linear(nf, nf), nn.Linear(nf, nf)
    self.to_out = nn.ModuleList([nn.Linear(nf, nf)])
  def forward(self, x):
    b, c, h, w = x.shape
    y = self.group_norm(x).flatten(2).transpose(1, 2)
    q, k, v = (f(y).view(b, -1, self.heads, c // self.heads).transpose(1, 2) for f in (self.to_q, self.to_k, self.to_v))
    y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, -1, c)
    return x + self.to_out[0](y).transpose(1, 2).view(b, c, h, w)
class Resample(nn.Module):
  def __init__(self, nf, stride):
    super().__init__()
    self.stride, self.conv = stride, nn.Conv2d(nf, nf, 3, stride=stride, padding=1)
  def forward(self, x): return self.conv(x if self.stride == 2 else F.interpolate(x, scale_factor=2.0))
class Stage(nn.Module):
  def __init__(self, sizes, heads=0, down=False, up=False):
    super().__init__()
    self.resnets = nn.ModuleList([Res(*s) for s in sizes])
    self.attentions = nn.ModuleList([Attn(s[1]) for s in sizes] if heads else [])
    if down: self.downsamplers = nn.ModuleList([Resample(sizes[-1][1], 2)])
    if up: self.upsamplers = nn.ModuleList([Resample(sizes[-1][1], 1)])
  def step(self, i, x, t):
    x = self.resnets[i](x, t)
    return self.attentions[i](x) if len(self.attentions) else x
class Time(nn.Module):
  def __init__(self):
    super().__init__()
    self.linear_1, self.linear_2 = nn.Linear(32, 128), nn.Linear(128, 128)
  def forward(self, t):
    a = t[:, None] * torch.exp(torch.arange(16) * (-9.210340371976184 / 16))
    return self.linear_2(F.silu(self.linear_1(torch.cat([a.cos(), a.sin()], 1))))
class UNet(nn.Module):
  def __init__(self):
    super().__init__()
    self.conv_in, self.time_embedding, self.class_embedding = nn.Conv2d(4, 32, 3, padding=1), Time(), nn.Embedding(11, 128)
    self.down_blocks = nn.ModuleList([Stage([(32, 32)], down=True), Stage([(32, 80)], 4)])
    self.mid_block = Stage([(80, 80)])
    self.up_blocks = nn.ModuleList([Stage([(160, 80), (112, 80)], 4, up=True), Stage([(112, 32), (64, 32)])])
    self.conv_norm_out, self.conv_out = nn.GroupNorm(8, 32), nn.Conv2d(32, 4, 3, padding=1)
  def forward(self, x, t, y):
    e = self.time_embedding(t) + self.class_embedding(y)
    a = self.conv_in(x)
    b = self.down_blocks[0].step(0, a, e)
    c = self.down_blocks[0].downsamplers[0](b)
    d = self.down_blocks[1].step(0, c, e)
    h = self.mid_block.step(0, d, e)
    for i, skip in enumerate([d, c]): h = self.up_blocks[0].step(i, torch.cat([h, skip], 1), e)
    h = self.up_blocks[0].upsamplers[0](h)
    for i, skip in enumerate([b, a]): h = self.up_blocks[1].step(i, torch.cat([h, skip], 1), e)
    return self.conv_out(F.silu(self.conv_norm_out(h)))
def load(path):
  data = open(path, 'rb').read()
  size = struct.unpack('<Q', data[:8])[0]
  head, out = json.loads(data[8:8 + size]), {}
  for name, o in head.items():
    if name == '__metadata__': continue
    a, b = o['data_offsets']
    x = torch.frombuffer(bytearray(data[8 + size + a:8 + size + b]), dtype=torch.float32).reshape(o['shape'])
    turned = x.permute(3, 2, 0, 1) if x.ndim == 4 else x.T if x.ndim == 2 and 'embedding.weight' not in name else x
    out[name] = turned.contiguous()
  return out
net = UNet().eval()
@torch.no_grad()
def pictures(x):
  y = torch.tensor([i % 10 for i in range(${n})])
  both = torch.cat([torch.full_like(y, 10), y])
  for i in range(${steps}):
    t = 1000 // ${steps} * (${steps} - 1 - i)
    a = abar[t]; b = abar[t - 1000 // ${steps}] if i < ${steps} - 1 else torch.tensor(1.0)
    u, told = net(torch.cat([x, x]), torch.full((2 * len(x),), float(t)), both).chunk(2)
    v = u + ${g} * (told - u)
    x0, eps = a.sqrt() * x - (1 - a).sqrt() * v, a.sqrt() * v + (1 - a).sqrt() * x
    x = b.sqrt() * x0 + (1 - b).sqrt() * eps
  return x
`

/** The peer with our weights and noise, and a way to ask it whether our pictures are its own. */
async function started(python: string, folder: string, state: Record<string, tf.Tensor>, noise: tf.Tensor4D) {
  const path = (name: string) => join(folder, `${name}.safetensors`), nchw = (x: tf.Tensor) => tf.transpose(x, [0, 3, 1, 2])
  saveTensors(path('weights'), state)
  saveTensors(path('given'), { noise: nchw(noise).flatten(), abar: tf.tensor1d(digitsSchedule().abar) })
  const peer = await startPeer(python, `${python3}
net.load_state_dict(load(${JSON.stringify(path('weights'))}))
given = load(${JSON.stringify(path('given'))})
noise, abar = given['noise'].view(${n}, 4, 14, 14), given['abar']
def check(path):
  far = (pictures(noise).flatten() - load(path)['x']).abs().max().item()
  assert far < 1e-2, f'the pictures differ by {far}'
`)
  return { peer, check(x: tf.Tensor) {
    saveTensors(path('made'), { x: nchw(x).flatten() })
    return peer.time(`check(${JSON.stringify(path('made'))})`)
  } }
}

/** Pictures a second, ours against theirs; the first rounds compile and are thrown away. */
export async function run(python: string, rounds = 7): Promise<Row[]> {
  await useBackend('tensorflow')
  const folder = mkdtempSync(join(tmpdir(), 'miniai-sampling-')), unet = loadGuided()
  const noise = tf.randomNormal([n, 14, 14, 4], 0, 1, 'float32', 1) as tf.Tensor4D
  const model = cfg(unet, { g, u: { y: tf.fill([n], 10) }, t: { y: tf.tensor1d(Array.from({ length: n }, (_, i) => i % 10)) } })
  const make = () => sample(model, noise, digitsSchedule(), { sampler: 'ddim', steps })
  try {
    const { peer, check } = await started(python, folder, unet.state(), noise), times: [number, number][] = []
    for (let i = -2; i < rounds; i++) {
      const start = performance.now(), x = await make()
      await x.data()
      const ours = (performance.now() - start) / 1000
      if (i === -1) await check(x)
      times.push([ours, await peer.time('pictures(noise)')])
      x.dispose()
    }
    peer.close()
    const warm = times.slice(2)
    return [row('64 guided digits, 20 steps: jit / PyTorch eager', warm.map(o => o[0]), warm.map(o => o[1]), 1 / 1.2)]
  } finally { rmSync(folder, { recursive: true }) }
}
