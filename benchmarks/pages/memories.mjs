/** Notes every memory that is made here; returns a function that adds up their bytes. */
export function watchMemories() {
  const memories = new Set();
  const keep = (instance) => {
    for (const value of Object.values(instance.exports)) {
      if (value instanceof WebAssembly.Memory) memories.add(value);
    }
  };
  WebAssembly.Memory = new Proxy(WebAssembly.Memory, {
    construct(target, parameters) {
      const memory = Reflect.construct(target, parameters);
      memories.add(memory);
      return memory;
    },
  });
  WebAssembly.Instance = new Proxy(WebAssembly.Instance, {
    construct(target, parameters) {
      const instance = Reflect.construct(target, parameters);
      keep(instance);
      return instance;
    },
  });
  for (const name of ["instantiate", "instantiateStreaming"]) {
    const original = WebAssembly[name];
    WebAssembly[name] = async (...parameters) => {
      const result = await original.apply(WebAssembly, parameters);
      keep(result.instance ?? result);
      return result;
    };
  }
  return () => [...memories].reduce((sum, { buffer }) => sum + buffer.byteLength, 0);
}
