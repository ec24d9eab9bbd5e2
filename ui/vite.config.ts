import { defineConfig } from 'vite';

export default defineConfig({
  // Old browsers lack light-dark(); a lower target would make the build rewrite every colour.
  build: {
    target: ['chrome123', 'firefox121', 'safari17.5'],
    outDir: '../src/ucam/web/page',
    emptyOutDir: true,
    // The content security policy allows files of the same origin only: nothing is inlined.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      input: { index: 'index.html', sw: 'src/sw.ts' },
      output: {
        // A service worker's name and place are its identity; browsers look for a newer one.
        entryFileNames: ({ name }) => (name === 'sw' ? 'sw.js' : 'assets/[name]-[hash].js'),
      },
    },
  },
});
