/* Special functions against values computed with 50 digits by mpmath. */
#include "check.h"

typedef struct unary_value {
  wt_unary_op op;
  double x, value;
} unary_value;

typedef struct binary_value {
  wt_binary_op op;
  double a, b, value;
} binary_value;

static const unary_value unary_values[] = {
    {WT_UNARY_erfinv, 1e-12, 8.86226925452758e-13},
    {WT_UNARY_erfinv, 0.1, 0.088855990494257692},
    {WT_UNARY_erfinv, -0.3, -0.27246271472675435},
    {WT_UNARY_erfinv, 0.49, 0.46586860023505734},
    {WT_UNARY_erfinv, 0.51, 0.48812205051595882},
    {WT_UNARY_erfinv, 0.75, 0.81341984759761854},
    {WT_UNARY_erfinv, -0.9, -1.1630871536766742},
    {WT_UNARY_erfinv, 0.999, 2.3267537655135245},
    {WT_UNARY_erfinv, 0.9999999, 3.7665625816384709},
    {WT_UNARY_erfcx, -5.0, 144009798674.66104},
    {WT_UNARY_erfcx, -1.0, 5.0089800807622835},
    {WT_UNARY_erfcx, 0.3, 0.73459933456765515},
    {WT_UNARY_erfcx, 2.0, 0.25539567631050574},
    {WT_UNARY_erfcx, 9.5, 0.059064678352563891},
    {WT_UNARY_erfcx, 10.5, 0.053491899746564117},
    {WT_UNARY_erfcx, 26.0, 0.021683584850562907},
    {WT_UNARY_erfcx, 100.0, 0.0056416137829894329},
    {WT_UNARY_erfcx, 1000000.0, 5.6418958354747419e-7},
    {WT_UNARY_log_ndtr, -35.0, -616.97510126192251},
    {WT_UNARY_log_ndtr, -8.0, -35.01343715991455},
    {WT_UNARY_log_ndtr, -1.5, -2.7059444008238898},
    {WT_UNARY_log_ndtr, -0.5, -1.1759117615936186},
    {WT_UNARY_log_ndtr, 0.0, -0.69314718055994531},
    {WT_UNARY_log_ndtr, 1.0, -0.17275377902344989},
    {WT_UNARY_log_ndtr, 5.0, -2.8665161296376359e-7},
    {WT_UNARY_ndtr, -30.0, 4.9067139271481871e-198},
    {WT_UNARY_ndtr, -2.0, 0.022750131948179207},
    {WT_UNARY_ndtr, 0.5, 0.6914624612740131},
    {WT_UNARY_ndtr, 3.0, 0.99865010196836991},
    {WT_UNARY_ndtri, 1e-300, -37.047096299361199},
    {WT_UNARY_ndtri, 1e-20, -9.2623400897984076},
    {WT_UNARY_ndtri, 1e-05, -4.2648907939228246},
    {WT_UNARY_ndtri, 0.1, -1.2815515655446004},
    {WT_UNARY_ndtri, 0.2, -0.84162123357291417},
    {WT_UNARY_ndtri, 0.3, -0.52440051270804082},
    {WT_UNARY_ndtri, 0.45, -0.12566134685507401},
    {WT_UNARY_ndtri, 0.6, 0.25334710313579974},
    {WT_UNARY_ndtri, 0.9, 1.2815515655446006},
    {WT_UNARY_ndtri, 0.999999, 4.7534243088170878},
    {WT_UNARY_digamma, 1e-05, -100000.57719921567},
    {WT_UNARY_trigamma, 1e-05, 10000000001.644908},
    {WT_UNARY_digamma, 0.3, -3.5025242222001331},
    {WT_UNARY_trigamma, 0.3, 12.245364546107731},
    {WT_UNARY_digamma, 1.4, -0.061384544585116237},
    {WT_UNARY_trigamma, 1.4, 1.0253565905295975},
    {WT_UNARY_digamma, 2.0, 0.42278433509846714},
    {WT_UNARY_trigamma, 2.0, 0.64493406684822644},
    {WT_UNARY_digamma, 7.5, 1.9467574842460868},
    {WT_UNARY_trigamma, 7.5, 0.1426158966967038},
    {WT_UNARY_digamma, 30.0, 3.3844381326855249},
    {WT_UNARY_trigamma, 30.0, 0.033895060357739944},
    {WT_UNARY_digamma, 100000000.0, 18.420680738952365},
    {WT_UNARY_trigamma, 100000000.0, 1.000000005e-8},
    {WT_UNARY_digamma, -0.5, 0.036489973978576521},
    {WT_UNARY_trigamma, -0.5, 8.9348022005446793},
    {WT_UNARY_digamma, -3.3, 3.6203534605921258},
    {WT_UNARY_trigamma, -3.3, 14.817739525515929},
    {WT_UNARY_digamma, -20.7, 0.77159318508250554},
    {WT_UNARY_trigamma, -20.7, 15.032252630716735},
    {WT_UNARY_i0, 0.0, 1.0},
    {WT_UNARY_i1, 0.0, 0},
    {WT_UNARY_i0e, 0.0, 1.0},
    {WT_UNARY_i1e, 0.0, 0},
    {WT_UNARY_i0, 0.5, 1.0634833707413235},
    {WT_UNARY_i1, 0.5, 0.25789430539089632},
    {WT_UNARY_i0e, 0.5, 0.64503527044915007},
    {WT_UNARY_i1e, 0.5, 0.1564208031848717},
    {WT_UNARY_i0, -2.0, 2.2795853023360673},
    {WT_UNARY_i1, -2.0, -1.5906368546373291},
    {WT_UNARY_i0e, -2.0, 0.30850832255367104},
    {WT_UNARY_i1e, -2.0, -0.21526928924893766},
    {WT_UNARY_i0, 10.0, 2815.7166284662545},
    {WT_UNARY_i1, 10.0, 2670.9883037012547},
    {WT_UNARY_i0e, 10.0, 0.12783333716342861},
    {WT_UNARY_i1e, 10.0, 0.12126268138445552},
    {WT_UNARY_i0, 19.9, 39513376.520066824},
    {WT_UNARY_i1, 19.9, 38507423.874862283},
    {WT_UNARY_i0e, 19.9, 0.090008588864389597},
    {WT_UNARY_i1e, 19.9, 0.087717102131706101},
    {WT_UNARY_i0, 20.1, 48017874.107136503},
    {WT_UNARY_i1, 20.1, 46807739.533029883},
    {WT_UNARY_i0e, 20.1, 0.089553763620613444},
    {WT_UNARY_i1e, 20.1, 0.087296851843201592},
    {WT_UNARY_i0, 50.0, 2.9325537838493363e+20},
    {WT_UNARY_i1, 50.0, 2.9030785901035568e+20},
    {WT_UNARY_i0e, 50.0, 0.056561626647454193},
    {WT_UNARY_i1e, 50.0, 0.0559931238928954},
    {WT_UNARY_i0, -300.0, 4.4758473679350521e+128},
    {WT_UNARY_i1, -300.0, -4.4683813850369544e+128},
    {WT_UNARY_i0e, -300.0, 0.023042558415085462},
    {WT_UNARY_i1e, -300.0, -0.023004122040268951},
    {WT_UNARY_bessel_j0, 0.0, 1.0},
    {WT_UNARY_bessel_j1, 0.0, 0},
    {WT_UNARY_bessel_j0, 1.0, 0.76519768655796655},
    {WT_UNARY_bessel_j1, 1.0, 0.44005058574493352},
    {WT_UNARY_bessel_j0, 2.4, 0.0025076832972438592},
    {WT_UNARY_bessel_j1, 2.4, 0.52018526818193105},
    {WT_UNARY_bessel_j0, 7.0, 0.3000792705195556},
    {WT_UNARY_bessel_j1, 7.0, -0.0046828234823458327},
    {WT_UNARY_bessel_j0, 30.0, -0.086367983581040211},
    {WT_UNARY_bessel_j1, 30.0, -0.11875106261662294},
    {WT_UNARY_sinc, 0.0, 1.0},
    {WT_UNARY_sinc, 0.5, 0.63661977236758134},
    {WT_UNARY_sinc, 1.25, -0.18006326323142121},
    {WT_UNARY_sinc, -3.7, -0.069599488486551842},
};

static const binary_value binary_values[] = {
    {WT_BINARY_zeta, 1.5, 1.0, 2.6123753486854883},
    {WT_BINARY_zeta, 2.0, 0.5, 4.9348022005446793},
    {WT_BINARY_zeta, 3.0, 10.0, 0.0055249174854010337},
    {WT_BINARY_zeta, 8.0, 25.0, 2.6856859615909245e-11},
    {WT_BINARY_zeta, 1.01, 2.0, 99.577943338496784},
    {WT_BINARY_zeta, 40.0, 0.3, 8.2252633399699713e+20},
    {WT_BINARY_zeta, 2.0, -1.5, 9.3792466449891238},
    {WT_BINARY_zeta, 3.0, -20.5, 0.0011331449598188985},
    {WT_BINARY_igamma, 0.1, 0.01, 0.66262125995447979},
    {WT_BINARY_igammac, 0.1, 0.01, 0.33737874004552021},
    {WT_BINARY_igamma, 0.5, 0.3, 0.56142197391900014},
    {WT_BINARY_igammac, 0.5, 0.3, 0.43857802608099986},
    {WT_BINARY_igamma, 1.0, 1.0, 0.63212055882855768},
    {WT_BINARY_igammac, 1.0, 1.0, 0.36787944117144232},
    {WT_BINARY_igamma, 2.5, 7.0, 0.98439058389973309},
    {WT_BINARY_igammac, 2.5, 7.0, 0.015609416100266915},
    {WT_BINARY_igamma, 9.0, 4.0, 0.021363434487984163},
    {WT_BINARY_igammac, 9.0, 4.0, 0.97863656551201584},
    {WT_BINARY_igamma, 20.0, 30.0, 0.97812653155860915},
    {WT_BINARY_igammac, 20.0, 30.0, 0.021873468441390853},
    {WT_BINARY_igamma, 100.0, 90.0, 0.15822098918643017},
    {WT_BINARY_igammac, 100.0, 90.0, 0.84177901081356983},
    {WT_BINARY_igamma, 1000.0, 1010.0, 0.62767894473699473},
    {WT_BINARY_igammac, 1000.0, 1010.0, 0.37232105526300527},
    {WT_BINARY_igamma, 100000.0, 100100.0, 0.6244451307044055},
    {WT_BINARY_igammac, 100000.0, 100100.0, 0.3755548692955945},
    {WT_BINARY_igamma, 3.0, 50.0, 1.0},
    {WT_BINARY_igammac, 3.0, 50.0, 2.509303552201057e-19},
    {WT_BINARY_igamma, 50.0, 3.0, 1.2485354871541929e-42},
    {WT_BINARY_igammac, 50.0, 3.0, 1.0},
    {WT_BINARY_igamma, 0.3, 12.0, 0.99999965788437282},
    {WT_BINARY_igammac, 0.3, 12.0, 3.4211562717711825e-7},
    {WT_BINARY_igamma, 1e-05, 0.3, 0.99999094321728279},
    {WT_BINARY_igammac, 1e-05, 0.3, 9.056782717213817e-6},
    {WT_BINARY_igamma, 0.01, 0.0001, 0.91721434709225409},
    {WT_BINARY_igammac, 0.01, 0.0001, 0.082785652907745911},
};

/* Relative, absolute near 0. */
static bool is_close(double got, double expected, double tolerance) {
  return fabs(got - expected) <= tolerance * fmax(fabs(expected), 1e-3);
}

static double unary64(int op, double x) {
  double out = NAN;
  wt_unary_contiguous_args args = {sizeof args, op, WT_FLOAT64, WT_FLOAT64, (wt_word)&out,
                                   (wt_word)&x, 1,  0,          0};
  CHECK(wt_unary_contiguous(&args) == WT_OK);
  return out;
}

static float unary32(int op, float x) {
  float out = NAN;
  wt_unary_contiguous_args args = {sizeof args, op, WT_FLOAT32, WT_FLOAT32, (wt_word)&out,
                                   (wt_word)&x, 1,  0,          0};
  CHECK(wt_unary_contiguous(&args) == WT_OK);
  return out;
}

static double binary64(int op, double a, double b) {
  double out = NAN;
  wt_binary_contiguous_args args = {.op = op,
                                    .dtype = WT_FLOAT64,
                                    .out = (wt_word)&out,
                                    .self = (wt_word)&a,
                                    .other = (wt_word)&b,
                                    .count = 1};
  CHECK(wt_binary_contiguous(&args) == WT_OK);
  return out;
}

TEST(special_unary_functions_have_ten_digits) {
  for (size_t i = 0; i < sizeof unary_values / sizeof *unary_values; i++) {
    const unary_value *entry = &unary_values[i];
    const double got = unary64(entry->op, entry->x);
    const bool close =
        isinf(entry->value) ? got == entry->value : is_close(got, entry->value, 1e-11);
    if (!close) printf("  op %d at %g: %.17g for %.17g\n", entry->op, entry->x, got, entry->value);
    CHECK(close);
    if ((double)(float)entry->x == entry->x && fabs(entry->value) < 1e38) {
      CHECK(is_close(unary32(entry->op, (float)entry->x), entry->value, 1e-6));
    }
  }
}

TEST(special_binary_functions_have_ten_digits) {
  for (size_t i = 0; i < sizeof binary_values / sizeof *binary_values; i++) {
    const binary_value *entry = &binary_values[i];
    const double got = binary64(entry->op, entry->a, entry->b);
    const bool close = is_close(got, entry->value, 1e-11);
    if (!close) {
      printf("  op %d at %g, %g: %.17g for %.17g\n", entry->op, entry->a, entry->b, got,
             entry->value);
    }
    CHECK(close);
  }
}

TEST(special_functions_at_their_poles_and_limits) {
  CHECK(unary64(WT_UNARY_erfinv, 1) == INFINITY && unary64(WT_UNARY_erfinv, -1) == -INFINITY);
  CHECK(isnan(unary64(WT_UNARY_erfinv, 1.5)));
  CHECK(unary64(WT_UNARY_ndtri, 0) == -INFINITY && unary64(WT_UNARY_ndtri, 1) == INFINITY);
  CHECK(unary64(WT_UNARY_digamma, 0) == -INFINITY && unary64(WT_UNARY_digamma, -0.0) == INFINITY);
  CHECK(isnan(unary64(WT_UNARY_digamma, -2)));
  CHECK(unary64(WT_UNARY_digamma, INFINITY) == INFINITY);
  CHECK(unary64(WT_UNARY_trigamma, 0) == INFINITY);
  CHECK(unary64(WT_UNARY_erfcx, -30) == INFINITY && unary64(WT_UNARY_erfcx, INFINITY) == 0);
  CHECK(unary64(WT_UNARY_i0e, INFINITY) == 0 && unary64(WT_UNARY_i1e, -INFINITY) == 0);
  CHECK(isnan(unary64(WT_UNARY_i0, INFINITY)) && isnan(unary64(WT_UNARY_bessel_j0, INFINITY)));
  CHECK(unary64(WT_UNARY_log_ndtr, -1e200) == -INFINITY);
  CHECK(binary64(WT_BINARY_zeta, 1, 3) == INFINITY && isnan(binary64(WT_BINARY_zeta, 0.5, 3)));
  CHECK(binary64(WT_BINARY_zeta, 2, -1) == INFINITY && isnan(binary64(WT_BINARY_zeta, 2.5, -0.5)));
  CHECK(binary64(WT_BINARY_igamma, 0, 1) == 1 && binary64(WT_BINARY_igammac, 0, 1) == 0);
  CHECK(binary64(WT_BINARY_igamma, 2, INFINITY) == 1 && binary64(WT_BINARY_igamma, 2, 0) == 0);
  CHECK(isnan(binary64(WT_BINARY_igamma, -1, 1)) && isnan(binary64(WT_BINARY_igamma, 0, 0)));
  CHECK(binary64(WT_BINARY_logaddexp, INFINITY, INFINITY) == INFINITY);
  CHECK(binary64(WT_BINARY_logaddexp, -INFINITY, -INFINITY) == -INFINITY);
  CHECK(binary64(WT_BINARY_xlogy, 0, 0) == 0 && isnan(binary64(WT_BINARY_xlogy, 0, NAN)));
}

/* Floor division as Python's, and its remainder. */
TEST(float_floor_division_follows_python) {
  CHECK(binary64(WT_BINARY_div_floor, -7, 2) == -4 && binary64(WT_BINARY_remainder, -7, 2) == 1);
  CHECK(binary64(WT_BINARY_div_floor, 7, -2) == -4 && binary64(WT_BINARY_remainder, 7, -2) == -1);
  CHECK(binary64(WT_BINARY_div_floor, 1, 0.1) == 9);
  CHECK(binary64(WT_BINARY_div_floor, 1, 0) == INFINITY);
  CHECK(isnan(binary64(WT_BINARY_div_floor, 0, 0)) && isnan(binary64(WT_BINARY_remainder, 1, 0)));
  CHECK(binary64(WT_BINARY_fmod, -7, 2) == -1);
}
