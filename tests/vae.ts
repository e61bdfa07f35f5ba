// Run as a program, `vae.ts wasm` gives VAEs the weights of tests/fixtures on that backend and writes
// a line of JSON for each case: how far the answer is from the one of diffusers, and the tolerance.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { tf } from 'miniai/engine'
import { loadTensors } from 'miniai/safetensors'
import { assignTorch, camelKeys } from 'miniai/unet'
import { VAE, VAEConfig } from 'miniai/vae'
import { distance, Far, fixtures, nhwc, tell, under } from './distances'

/** The tiny Stable Diffusion's VAE. */
async function* tiny(): AsyncGenerator<Far> {
  const folder = join(fixtures, 'tiny-sd-a/vae'), file = join(folder, 'diffusion_pytorch_model.safetensors')
  const vae = new VAE(camelKeys<VAEConfig>(JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8'))))
  assignTorch(vae, loadTensors(file).tensors, file)
  const { tensors, metadata } = loadTensors(join(fixtures, 'tiny-sd-a-vae.safetensors'))
  for (const { id, tol } of JSON.parse(metadata.cases)) {
    const { image, mean, logvar, latents, output } = under(tensors, `${id}.`)
    if (latents) yield { name: id, far: await distance(vae.decode(nhwc(latents)), nhwc(output)), tolerance: tol.output }
    if (!image) continue
    const q = vae.encode(nhwc(image))
    yield { name: `${id} mean`, far: await distance(q.mode(), nhwc(mean)), tolerance: tol.mean }
    yield { name: `${id} logvar`, far: await distance(q.logVariance, nhwc(logvar)), tolerance: tol.logvar }
  }
}

/** Small VAEs of other kinds. */
async function* others(): AsyncGenerator<Far> {
  const { tensors, metadata } = loadTensors(join(fixtures, 'vaes.safetensors'))
  for (const [name, config] of Object.entries<object>(JSON.parse(metadata.configs))) {
    const { x, mean, logVariance, kl, z, y, ...rest } = under(tensors, `${name}.`)
    const vae = new VAE(camelKeys<VAEConfig>(config))
    assignTorch(vae, under(rest, 'model.'), name)
    const q = vae.encode(nhwc(x)), all = { mean: nhwc(mean), logVariance: nhwc(logVariance), y: nhwc(y), kl }
    const got = { mean: q.mean, logVariance: q.logVariance, y: vae.decode(nhwc(z)), kl: tf.sum(q.kl(), [1, 2, 3]) }
    for (const key of Object.keys(got) as (keyof typeof got)[]) {
      const [largest] = await tf.max(tf.abs(all[key])).data()
      yield { name: `${name} ${key}`, far: await distance(got[key], all[key]), tolerance: 1e-4 * largest }
    }
  }
}

if (require.main === module) void tell(others, tiny)
