/** A Python beside us for the benches: it stays alive, so that its work and ours can alternate. */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

const server = `
import sys, time, traceback
names = {}
for line in sys.stdin:
  try:
    kind, text = line[0], eval(line[1:])
    if kind == 'd': exec(text, names); print('done')
    else:
      text, n = text
      code, times = compile(text, 'timed', 'eval'), []
      for _ in range(n):
        start = time.perf_counter()
        eval(code, names)
        times.append(time.perf_counter() - start)
      print(sorted(times)[n // 2])
  except Exception: print('error ' + repr(traceback.format_exc()))
  sys.stdout.flush()
`

export type Peer = Awaited<ReturnType<typeof startPeer>>

/** Start Python and run `code` in it; `time` gives the median of `n` runs of a text in seconds. */
export async function startPeer(python: string, code: string) {
  const child = spawn(python, ['-c', server], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  const ask = async (kind: string, what: unknown) => {
    child.stdin.write(kind + JSON.stringify(what) + '\n')
    const { value } = await lines.next()
    if (value && !value.startsWith('error')) return Number(value)
    child.kill() // or the bench would wait for it without end
    throw new Error(`peer: ${value || 'Python ended'}`)
  }
  await ask('d', code)
  return { time: (text: string, n = 1) => ask('t', [text, n]), close: () => child.stdin.end() }
}

/** Ours and theirs in turn, the first round thrown away: seconds for `row`. */
export async function alternate(ours: () => number, theirs: () => Promise<number>, rounds = 15) {
  const times: [number, number][] = []
  for (let i = 0; i <= rounds; i++) times.push([ours(), await theirs()])
  return { ours: times.slice(1).map(t => t[0]), peer: times.slice(1).map(t => t[1]) }
}

/** The median time of `n` runs of `f`, in seconds. */
export function seconds(f: () => unknown, n = 1): number {
  const times = Array.from({ length: n }, () => {
    const start = performance.now()
    f()
    return (performance.now() - start) / 1000
  })
  return times.sort((a, b) => a - b)[n >> 1]
}
