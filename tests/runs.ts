// Run as a program, `runs.ts wasm` paints with the tiny Stable Diffusion of tests/fixtures on that backend what diffusers
// has painted from the same noise, and writes a line of JSON for each result: how far it is, and the tolerance.
import { join } from 'node:path'
import { tf } from 'miniai/engine'
import { loadTensors } from 'miniai/safetensors'
import { decodeLatents, StableDiffusion } from 'miniai/stable_diffusion'
import { distance, Far, fixtures, nhwc, tell, under } from './distances'

/** The runs whose name is picked. */
async function* painted(isPicked: (id: string) => boolean): AsyncGenerator<Far> {
  const { tensors, metadata } = loadTensors(join(fixtures, 'tiny-sd-a-runs.safetensors'))
  const sd = await StableDiffusion.load(join(fixtures, 'tiny-sd-a'))
  const init = nhwc(tf.div(tensors.init, 255))
  for (const { id, tol, ...run } of JSON.parse(metadata.runs).filter((o: { id: string }) => isPicked(o.id))) {
    const { noise, latents, image } = under(tensors, `${id}.`), { strength } = run
    const { images } = await sd.generate({
      prompt: run.prompt, negativePrompt: run.negative_prompt ?? undefined, latents: nhwc(noise), height: run.height, width: run.width,
      steps: run.num_inference_steps, guidance: run.guidance_scale, eta: run.eta, scheduler: run.scheduler,
      ...strength ? { init, strength: Number(strength) } : {}, outputType: 'latent', progress: false
    })
    yield { name: id, far: await distance(images, nhwc(latents)), tolerance: tol.latents }
    if (image) yield { name: `${id} picture`, far: await distance(decodeLatents(sd.parts.vae, images), image), tolerance: tol.image }
  }
}

const small = 'lms10_two_negatives'
void tell(() => painted(id => id === small), () => painted(id => id !== small))
