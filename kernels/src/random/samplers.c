/* Samples of distributions by rejection. */
#include <math.h>

#include "random/generator.h"

/* ---- Poisson -------------------------------------------------------------------------------- */
/* Transformed rejection, algorithm PTRS of Hoermann, "The transformed rejection method for
 * generating Poisson random variables" (1993); for rates of at least 10. */
static double poisson_by_rejection(wt_generator *generator, double rate) {
  double root = sqrt(rate), log_rate = log(rate);
  double b = 0.931 + 2.53 * root, a = -0.059 + 0.02483 * b;
  double inverse_alpha = 1.1239 + 1.1328 / (b - 3.4), inner = 0.9277 - 3.6224 / (b - 2);
  for (;;) {
    double u = wt_random_double(generator) - 0.5, v = wt_random_double(generator);
    double distance = 0.5 - fabs(u);
    double k = floor((2 * a / distance + b) * u + rate + 0.43);
    if (distance >= 0.07 && v <= inner) return k;
    if (k < 0 || (distance < 0.013 && v > distance)) continue;
    double density = log(v) + log(inverse_alpha) - log(a / (distance * distance) + b);
    if (density <= -rate + k * log_rate - lgamma(k + 1)) return k;
  }
}

/* Products of uniforms until they fall below exp(-rate) (Knuth, TAOCP 2, 3.4.1). */
double wt_sample_poisson(wt_generator *generator, double rate) {
  if (rate >= 10) return poisson_by_rejection(generator, rate);
  if (!(rate > 0)) return 0;
  double bound = exp(-rate), product = 1, events = 0;
  for (;;) {
    product *= wt_random_double(generator);
    if (product <= bound) return events;
    events++;
  }
}

/* ---- gamma ---------------------------------------------------------------------------------- */
/* Marsaglia & Tsang, "A simple method for generating gamma variables" (2000), unit scale; shapes
 * below one are raised by one and scaled back. The constants have single precision, as in torch. */
double wt_sample_gamma(wt_generator *generator, double shape) {
  double scale = 1;
  if (!(shape > 0)) return 0;
  if (shape < 1) {
    scale = pow(1 - wt_random_double(generator), 1 / shape);
    shape += 1;
  }
  double d = shape - 1.0f / 3, c = 1 / sqrt(9 * d);
  for (;;) {
    double x, y;
    do {
      x = wt_random_normal(generator);
      y = 1 + c * x;
    } while (y <= 0);
    double v = y * y * y, u = 1 - wt_random_double(generator), square = x * x;
    if (u < 1 - 0.0331f * square * square) return scale * d * v;
    if (log(u) < 0.5 * square + d * (1 - v + log(v))) return scale * d * v;
  }
}

/* ---- binomial ------------------------------------------------------------------------------- */
/* log(k!) minus Stirling's approximation of it: exact for small k, else the asymptotic series. */
static double stirling_tail(double k) {
  double n = k + 1;
  if (k < 10) {
    const double half_log_two_pi = 0.91893853320467274178;
    return lgamma(n) - (half_log_two_pi + (k + 0.5) * log(n) - n);
  }
  return (1.0 / 12 - (1.0 / 360 - 1.0 / 1260 / (n * n)) / (n * n)) / n;
}

/* Sums geometric gaps between successes until they exceed the count (Devroye 1986, X.4). */
static double binomial_by_gaps(wt_generator *generator, double count, double probability) {
  double log_failure = log1p(-probability), position = 0, successes = 0;
  for (;;) {
    position += ceil(log(wt_random_double(generator)) / log_failure);
    if (!(position <= count)) return successes;
    successes++;
  }
}

/* Algorithm BTRS of Hoermann, "The generation of binomial random variates" (1993); for
 * probabilities up to a half and at least ten expected successes. */
static double binomial_by_rejection(wt_generator *generator, double count, double probability) {
  double deviation = sqrt(count * probability * (1 - probability));
  double b = 1.15 + 2.53 * deviation, a = -0.0873 + 0.0248 * b + 0.01 * probability;
  double center = count * probability + 0.5, inner = 0.92 - 4.2 / b;
  double odds = probability / (1 - probability), alpha = (2.83 + 5.1 / b) * deviation;
  double mode = floor((count + 1) * probability);
  for (;;) {
    double u = wt_random_double(generator) - 0.5, v = wt_random_double(generator);
    double distance = 0.5 - fabs(u);
    double k = floor((2 * a / distance + b) * u + center);
    if (k < 0 || k > count) continue;
    if (distance >= 0.07 && v <= inner) return k;
    double density = log(v * alpha / (a / (distance * distance) + b));
    double bound = (mode + 0.5) * log((mode + 1) / (odds * (count - mode + 1))) +
                   (count + 1) * log((count - mode + 1) / (count - k + 1)) +
                   (k + 0.5) * log(odds * (count - k + 1) / (k + 1)) + stirling_tail(mode) +
                   stirling_tail(count - mode) - stirling_tail(k) - stirling_tail(count - k);
    if (density <= bound) return k;
  }
}

double wt_sample_binomial(wt_generator *generator, double count, double probability) {
  if (isnan(count) || isnan(probability)) return NAN;
  if (count <= 0 || probability <= 0) return 0;
  if (probability >= 1) return count;
  double smaller = probability <= 0.5 ? probability : 1 - probability;
  double successes = count * smaller >= 10 ? binomial_by_rejection(generator, count, smaller)
                                           : binomial_by_gaps(generator, count, smaller);
  return probability <= 0.5 ? successes : count - successes;
}
