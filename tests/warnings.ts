/** What `f` gives, and what `console.warn` is told meanwhile. */
export function warnings<T>(f: () => T): [value: T, said: string[]] {
  const { warn } = console, said: string[] = []
  console.warn = (...words: unknown[]) => { said.push(words.join(' ')) }
  try { return [f(), said] } finally { console.warn = warn }
}
