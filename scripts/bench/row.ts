/**
 * One line of the table: times as text, `ratio` the median of ours ÷ peer (or what `bar` says),
 * `ok` whether the bar is met.
 */
export interface Row {
  work: string
  ours: string
  peer: string
  ratio: number
  bar: string
  ok: boolean
}

/** The middle value of `xs`. */
export function median(xs: number[]): number {
  const sorted = [...xs].sort((a, b) => a - b), half = sorted.length >> 1
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2
}

/** Seconds as a person writes them: `12.3 µs`, `4.56 ms`, `7.8 s`. */
export function time(seconds: number): string {
  const [scale, unit] = seconds < 1e-3 ? [1e6, 'µs'] : seconds < 1 ? [1e3, 'ms'] : [1, 's']
  return `${(seconds * scale).toPrecision(3)} ${unit}`
}

/** A row from paired timings in seconds, taken alternately; ours ÷ peer may be at most `most`. */
export function row(work: string, ours: number[], peer: number[], most: number): Row {
  const ratio = median(ours.map((seconds, i) => seconds / peer[i]))
  const times = { ours: time(median(ours)), peer: time(median(peer)) }
  return { work, ...times, ratio, bar: `≤ ${most}`, ok: ratio <= most }
}
