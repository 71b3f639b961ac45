/** A script, bundled and minified by build.mjs, as text. */
declare module "*?bundled" {
  const source: string;
  export default source;
}
