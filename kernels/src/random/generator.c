/* mt19937 (Matsumoto & Nishimura 1998, with the 2002 seeding) in the state layout of torch. */
#include "random/generator.h"

#include <math.h>

#define STATE_WORDS 624
#define SHIFT_WORDS 397
#define PI 3.14159265358979323846

void wt_generator_seed(wt_generator *generator, uint64_t seed) {
  generator->seed = seed;
  generator->seeded = 1;
  generator->left = 1;
  generator->next = 0;
  generator->has_normal = 0;
  generator->normal = 0;
  generator->state[0] = (uint32_t)seed;
  for (uint32_t i = 1; i < STATE_WORDS; i++) {
    uint32_t previous = generator->state[i - 1];
    generator->state[i] = 1812433253u * (previous ^ (previous >> 30)) + i;
  }
}

static uint32_t twist(uint32_t upper, uint32_t lower, uint32_t shifted) {
  uint32_t mixed = (upper & 0x80000000u) | (lower & 0x7fffffffu);
  return shifted ^ (mixed >> 1) ^ (-(lower & 1) & 0x9908b0dfu);
}

/* Replaces the whole state by its successor. */
static void advance(wt_generator *generator) {
  uint32_t *state = generator->state;
  const int turn = STATE_WORDS - SHIFT_WORDS;
  for (int i = 0; i < turn; i++) state[i] = twist(state[i], state[i + 1], state[i + SHIFT_WORDS]);
  for (int i = turn; i < STATE_WORDS - 1; i++) {
    state[i] = twist(state[i], state[i + 1], state[i - turn]);
  }
  state[STATE_WORDS - 1] = twist(state[STATE_WORDS - 1], state[0], state[SHIFT_WORDS - 1]);
}

static uint32_t temper(uint32_t y) {
  y ^= y >> 11;
  y ^= (y << 7) & 0x9d2c5680u;
  y ^= (y << 15) & 0xefc60000u;
  return y ^ (y >> 18);
}

/* left - 1 words of the state are still unused; next is the first of them. */
void wt_generator_draw(wt_generator *generator, uint32_t *words, wt_word count) {
  while (count > 0) {
    if (generator->left <= 1 || generator->next >= STATE_WORDS) {
      advance(generator);
      generator->left = STATE_WORDS + 1;
      generator->next = 0;
    }
    wt_word chunk = generator->left - 1;
    if (chunk > STATE_WORDS - (wt_word)generator->next) chunk = STATE_WORDS - generator->next;
    if (chunk > count) chunk = count;
    const uint32_t *state = generator->state + generator->next;
    for (wt_word i = 0; i < chunk; i++) words[i] = temper(state[i]);
    generator->left -= (int32_t)chunk;
    generator->next += (uint32_t)chunk;
    words += chunk;
    count -= chunk;
  }
}

uint32_t wt_random32(wt_generator *generator) {
  uint32_t word;
  if (generator->left > 1 && generator->next < STATE_WORDS) {
    generator->left--;
    return temper(generator->state[generator->next++]);
  }
  wt_generator_draw(generator, &word, 1);
  return word;
}

uint64_t wt_random64(wt_generator *generator) {
  uint32_t words[2];
  wt_generator_draw(generator, words, 2);
  return (uint64_t)words[0] << 32 | words[1];
}

float wt_random_float(wt_generator *generator) {
  return (float)(wt_random32(generator) & 0xffffffu) * 0x1p-24f;
}

double wt_random_double(wt_generator *generator) {
  return (double)(wt_random64(generator) & (((uint64_t)1 << 53) - 1)) * 0x1p-53;
}

double wt_random_normal(wt_generator *generator) {
  if (generator->has_normal) {
    generator->has_normal = 0;
    return generator->normal;
  }
  double u1 = wt_random_double(generator), u2 = wt_random_double(generator);
  double radius = sqrt(-2 * log1p(-u2)), angle = 2 * PI * u1;
  generator->normal = radius * sin(angle);
  generator->has_normal = 1;
  return radius * cos(angle);
}

WT_KERNEL(seed, 1) {
  const wt_seed_args *args = arguments;
  wt_generator_seed((wt_generator *)args->generator, (uint64_t)args->seed.i);
  return WT_OK;
}
