// Stable Diffusion 1 at its full size, 860 million parameters in the U-Net, with random weights in half precision, beside
// diffusers in float32 on as many threads: loading, the three networks once each, and the memory they stay in.
// Each side is a process of its own, and they take turns, so that 24 GiB are enough. `npm run bench -- sd`; on a machine
// with a GPU, MINIAI_BACKEND=webgpu npm run bench -- sd compares with PyTorch on that GPU.
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { median, row, type Row } from './row'

const folder = join(tmpdir(), 'miniai-bench-sd'), isGpu = process.env.MINIAI_BACKEND === 'webgpu'

const make = `
import json, os, torch
from diffusers import AutoencoderKL, PNDMScheduler, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel
torch.manual_seed(0)
out = ${JSON.stringify(folder)}
four = lambda kind: (kind,) * 4
unet = UNet2DConditionModel(sample_size=64, cross_attention_dim=768)
assert sum(p.numel() for p in unet.parameters()) == 859520964
unet.half().save_pretrained(out + '/unet')
vae = AutoencoderKL(block_out_channels=(128, 256, 512, 512), layers_per_block=2, latent_channels=4, sample_size=512,
  down_block_types=four('DownEncoderBlock2D'), up_block_types=four('UpDecoderBlock2D'))
vae.half().save_pretrained(out + '/vae')
text = CLIPTextConfig(vocab_size=49408, hidden_size=768, intermediate_size=3072, num_attention_heads=12, num_hidden_layers=12)
CLIPTextModel(text).half().save_pretrained(out + '/text_encoder')
PNDMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule='scaled_linear', skip_prk_steps=True,
  steps_offset=1).save_pretrained(out + '/scheduler')
json.dump({'_class_name': 'StableDiffusionPipeline', 'unet': ['diffusers', 'UNet2DConditionModel'],
  'vae': ['diffusers', 'AutoencoderKL'], 'text_encoder': ['transformers', 'CLIPTextModel']},
  open(out + '/model_index.json', 'w'))
`

const theirs = `
import json, resource, time, torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel
torch.set_num_threads(${availableParallelism()})
d, gpu = ${JSON.stringify(folder)}, ${isGpu ? 'True' : 'False'}
device = 'cuda' if gpu and torch.cuda.is_available() else 'cpu'
def took(f):
  start = time.perf_counter()
  f()
  if device == 'cuda': torch.cuda.synchronize()
  return time.perf_counter() - start
def resident():
  return [int(o.split()[1]) for o in open('/proc/self/status') if o.startswith('VmRSS')][0] * 1024
got = {}
def load():
  got['unet'] = UNet2DConditionModel.from_pretrained(d + '/unet', torch_dtype=torch.float32).eval().to(device)
  got['vae'] = AutoencoderKL.from_pretrained(d + '/vae', torch_dtype=torch.float32).eval().to(device)
  got['text'] = CLIPTextModel.from_pretrained(d + '/text_encoder', dtype=torch.float32).eval().to(device)
times = {'load': [took(load)]}
r = lambda *shape: torch.randn(*shape, device=device)
x, context, ids = r(1, 4, 64, 64), r(1, 77, 768), torch.arange(77, device=device)[None]
with torch.no_grad():
  for name, f, n in [('text', lambda: got['text'](ids), 6), ('unet', lambda: got['unet'](x, 500, context), 4),
    ('decode', lambda: got['vae'].decode(x), 2)]:
    times[name] = [took(f) for _ in range(n)][1:]
print(json.dumps({**times, 'resident': [resident()]}))
`

const ours = `
const { tf, useBackend } = require('miniai/engine'), { loadParts } = require('miniai/stable_diffusion')
const { jit } = require('miniai/jit'), times = {}
async function timed(name, f, n) {
  const all = []
  for (let i = 0; i < n; i++) {
    const start = performance.now(), out = tf.tidy(f)
    await out.data()
    out.dispose()
    all.push((performance.now() - start) / 1000)
  }
  times[name] = all
}
async function main() {
  await useBackend(process.env.MINIAI_BACKEND ?? 'tensorflow')
  const start = performance.now(), { unet, vae, textEncoder } = loadParts(${JSON.stringify(folder)})
  times.load = [(performance.now() - start) / 1000]
  const r = (shape, i) => tf.randomNormal(shape, 0, 1, 'float32', i)
  const x = r([1, 64, 64, 4], 1), context = r([1, 77, 768], 2), t = tf.tensor1d([500]), ids = [[...Array(77).keys()]]
  const f = jit((x, t, context) => unet.forward(x, t, { context }), { xla: false })
  const decode = jit(z => vae.decode(z), { xla: false })
  await timed('text', () => textEncoder.forward(ids), 6)
  await timed('unet', () => f(x, t, context), 6)
  await timed('decode', () => decode(x), 4)
  times.resident = [process.memoryUsage().rss]
  for (const [name, skip] of [['text', 1], ['unet', 3], ['decode', 3]]) times[name] = times[name].slice(skip)
  console.log(JSON.stringify(times))
}
void main()
`

type Times = Record<'load' | 'text' | 'unet' | 'decode' | 'resident', number[]>
const last = (text: Buffer): Times => JSON.parse(text.toString().trim().split('\n').at(-1)!)
const pipes = { stdio: ['ignore', 'pipe', 'ignore'] as ['ignore', 'pipe', 'ignore'], cwd: join(__dirname, '../..') }

/** The bars' rows; the model's folder is made once and stays in the temporary folder (2.1 GB). */
export async function run(python: string): Promise<Row[]> {
  if (!existsSync(join(folder, 'model_index.json'))) execFileSync(python, ['-c', make], { stdio: 'inherit' })
  const theirTimes = last(execFileSync(python, ['-c', theirs], pipes))
  const ourTimes = last(execFileSync(process.execPath, ['-r', './scripts/load.cjs', '-e', ours], pipes))
  const line = (work: string, key: keyof Times, most: number) =>
    row(`Stable Diffusion: ${work}`, [median(ourTimes[key])], [median(theirTimes[key])], most)
  const memory = (bytes: number[]) => `${(bytes[0] / 2 ** 30).toFixed(2)} GiB`
  const kept = { ...line('resident memory', 'resident', 1.3), ours: memory(ourTimes.resident), peer: memory(theirTimes.resident) }
  return [line('loading', 'load', 1.5), line('text encoder', 'text', 1), line('U-Net, 64×64 latents', 'unet', 1),
    line('decoder', 'decode', 1), kept]
}
