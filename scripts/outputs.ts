/** Outputs of cells: from a kernel's messages to what a notebook stores, and to a comparison. */
import { joinLines, Output } from './notebook'

/** One thing that a cell printed, showed or came to, as a session or a Jupyter kernel tells it. */
export interface Message { type: string, content: any }

const relative = 1e-4, absolute = 1e-7

/** A session's own message in Jupyter's terms. */
export function jupyterMessage(m: { type: string, [key: string]: any }): Message {
  const { type, update, content, data } = m
  if (type === 'display') return { type: update ? 'update_display_data' : 'display_data', content }
  return type === 'result' ? { type: 'execute_result', content: { data } } : { type, content: m }
}

/** Gathers messages as JupyterLab does: texts in a row are one, a display keeps its last state. */
export class Collector {
  private displays = new Map<string, Output>()

  /** Add `message` to a cell's `outputs`; an update may change those of an earlier cell. */
  add(outputs: Output[], { type, content }: Message): void {
    const last = outputs.at(-1)
    if (type === 'stream') {
      if (last?.output_type === 'stream' && last.name === content.name) last.text += content.text
      else outputs.push({ output_type: 'stream', name: content.name, text: content.text })
    } else if (type === 'update_display_data') this.update(content)
    else if (type === 'display_data') outputs.push(this.keep(content))
    else if (type === 'execute_result') {
      const { data, metadata = {} } = content
      outputs.push({ output_type: 'execute_result', data, metadata, execution_count: null })
    }
  }

  private keep({ data, metadata = {}, transient }: Message['content']): Output {
    const output: Output = { output_type: 'display_data', data, metadata }
    if (transient?.display_id) this.displays.set(transient.display_id, output)
    return output
  }

  private update({ data, metadata = {}, transient }: Message['content']) {
    const output = this.displays.get(transient?.display_id)
    if (output) Object.assign(output, { data, metadata })
  }
}

/** What a cell says in words: what it printed and its value, without pictures and warnings. */
export function spoken(outputs: Output[]): string {
  const text = (o: Output) => {
    if (o.output_type === 'stream') return o.name === 'stdout' ? joinLines(o.text ?? '') : ''
    const value = o.output_type === 'execute_result' ? o.data?.['text/plain'] as string : ''
    return value ? `\n${joinLines(value)}\n` : ''
  }
  return outputs.map(text).join('')
}

/** Where two texts differ, or nothing: fractions may by a 1e-4th, white space by any amount. */
export function difference(stored: string, fresh: string): string | undefined {
  const a = tokens(stored), b = tokens(fresh), longer = a.length > b.length ? a : b
  const at = longer.findIndex((_, i) => !same(a[i], b[i]))
  if (at < 0) return
  const near = (t: string[]) => t.slice(Math.max(0, at - 12), at + 12).join('').trim() || 'nothing'
  return `stored: ${near(a)}\n       now: ${near(b)}`
}

const token = /-?\d+(\.\d+)?([eE][-+]?\d+)?|[A-Za-z_]+| |[^\sA-Za-z_\d]/g

function tokens(text: string): string[] {
  return text.trim().replace(/\s+/g, ' ').match(token) ?? []
}

function same(a = '', b = '') {
  if (a === b) return true
  const isFraction = /[.e]/i.test(a) || /[.e]/i.test(b), x = Number(a), y = Number(b)
  if (!a.trim() || !b.trim() || !isFraction || Number.isNaN(x) || Number.isNaN(y)) return false
  return Math.abs(x - y) <= relative * Math.max(Math.abs(x), Math.abs(y)) + absolute
}
