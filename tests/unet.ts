// Run as a program, `unet.ts wasm` gives U-Nets the weights of tests/fixtures on that backend and
// writes a line of JSON for each case: how far the answer is from the one of diffusers, and the tolerance.
// A second argument `few` leaves the larger ones out.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { tf } from 'miniai/engine'
import { loadTensors } from 'miniai/safetensors'
import { assignTorch, camelKeys, UNet, UNetConfig } from 'miniai/unet'
import { distance, Far, fixtures, nhwc, tell, under } from './distances'

/** The tiny Stable Diffusion's U-Net. */
async function* tiny(): AsyncGenerator<Far> {
  const folder = join(fixtures, 'tiny-sd-a'), file = 'diffusion_pytorch_model.safetensors'
  const config = JSON.parse(readFileSync(join(folder, 'unet/config.json'), 'utf8'))
  const unet = new UNet(camelKeys<UNetConfig>(config))
  assignTorch(unet, loadTensors(join(folder, 'unet', file)).tensors, file)
  const { tensors, metadata } = loadTensors(join(folder, 'expected.safetensors'))
  for (const { id, timestep, tol } of JSON.parse(metadata.cases)) {
    const { sample, context, output } = under(tensors, `${id}.`), x = nhwc(sample)
    const got = unet.forward(x, tf.fill([x.shape[0]], timestep), { context })
    yield { name: id, far: await distance(got, nhwc(output)), tolerance: tol }
  }
}

/** Small U-Nets of other kinds. */
async function* others(): AsyncGenerator<Far> {
  const { tensors, metadata } = loadTensors(join(fixtures, 'unets.safetensors'))
  for (const [name, config] of Object.entries<object>(JSON.parse(metadata.configs))) {
    const { x, t, context, y, out, ...rest } = under(tensors, `${name}.`)
    const unet = new UNet(camelKeys<UNetConfig>(config))
    assignTorch(unet, under(rest, 'model.'), name)
    const got = unet.forward(nhwc(x), t, { context, y })
    const [largest] = await tf.max(tf.abs(out)).data()
    yield { name, far: await distance(got, nhwc(out)), tolerance: 1e-4 * largest }
  }
}

if (require.main === module) void tell(others, tiny)
