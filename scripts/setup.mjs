// Installs what the course needs into this folder, and nothing that is there already.
// Plain JavaScript: it runs before any package is installed. A step counts as done once its key
// stands in .cache/setup.json, so a run that was interrupted anywhere is simply run again.
import { mkdirSync } from 'node:fs'
import { lastLine, lock, logPath, stop, unlock } from './setup/run.mjs'
import { at, isDone, Missing, refusal, Refused, refused, remember } from './setup/state.mjs'
import { steps } from './setup/steps.mjs'

/** Shows the running seconds on a terminal, and start and end anywhere else. */
async function show(label, work) {
  const start = Date.now(), seconds = () => `${Math.round((Date.now() - start) / 1000)} s`
  const room = () => Math.max(0, process.stdout.columns - label.length - 12)
  const draw = () => process.stdout
    .write(`\r\x1b[K${label} … ${seconds()}  ${lastLine().slice(0, room())}`)
  const timer = process.stdout.isTTY ? setInterval(draw, 250) : undefined
  const end = how => console.log(`${timer ? '\r\x1b[K' : ''}${label}: ${how} ${seconds()}`)
  if (!timer) console.log(`${label} …`)
  try {
    await work()
    end('done in')
  } catch (error) {
    end(error instanceof Missing ? 'left out after' : 'failed after')
    throw error
  } finally { clearInterval(timer) }
}

/** Runs one step if it is wanted and possible; gives the sentence of what is missing, if any. */
async function perform(step, number, absent) {
  if (absent.has(step.needs)) return void absent.add(step.id)
  if (isDone(step)) return
  if (refusal(step)) return void absent.add(step.id)
  try {
    await show(`[${number}/${steps.length}] ${step.title}`, step.run)
    if (!step.there()) throw new Missing(`${step.title} did not arrive; see ${logPath}`)
    remember(step.id, step.key())
  } catch (error) {
    if (!(error instanceof Missing)) throw error
    const { message: why } = error, key = step.key()
    if (error instanceof Refused) remember(refused(step.id), { key, why })
    absent.add(step.id)
    return why
  }
}

/** Whether a step is left out for good: it, or what it needs, was refused. */
function isLeftOut(step) {
  const needed = steps.find(o => o.id === step.needs)
  return Boolean(refusal(step)) || Boolean(needed && !isDone(needed) && isLeftOut(needed))
}

function tell() {
  const notes = steps.filter(step => !isDone(step)).map(refusal).filter(Boolean)
  console.log(`Everything ${notes.length ? 'else ' : ''}is installed.`)
  for (const why of notes) console.log(`Note: ${why}.`)
}

async function setup(quiet) {
  const major = Number(process.versions.node.split('.')[0])
  if (major < 20) throw new Error(`miniai needs Node 20 or newer, and this is ${process.version}`)
  if (steps.every(step => isDone(step) || isLeftOut(step))) return quiet || tell()
  mkdirSync(at('.cache'), { recursive: true })
  await lock()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, stop)
  const absent = new Set()
  try {
    for (const [i, step] of steps.entries()) {
      const sentence = await perform(step, i + 1, absent)
      if (sentence) console.log(`Note: ${sentence}.`)
    }
  } finally { unlock() }
}

setup(process.argv.includes('--quiet')).catch(error => {
  console.error(`Set-up stopped: ${error.message}. The whole output is in ${logPath}.`)
  process.exit(1)
})
