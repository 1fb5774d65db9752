/* LightGBM's C API, timed: prediction row by row, in batches of 50 and all at once, one thread.
 *
 * Usage: trees MODEL ROWS FEATURES OUTPUTS. ROWS is binary64, row by row; the predictions are written to OUTPUTS. Prints the
 * seconds a row takes in each way. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int LGBM_BoosterCreateFromModelfile(const char *, int *, void **);
int LGBM_BoosterPredictForMatSingleRowFastInit(void *, int, int, int, int, int32_t, const char *, void **);
int LGBM_BoosterPredictForMatSingleRowFast(void *, const void *, int64_t *, double *);
int LGBM_BoosterPredictForMat(void *, const void *, int, int32_t, int32_t, int, int, int, int, const char *, int64_t *,
                              double *);

enum { FLOAT64 = 1, ROW_MAJOR = 1, NORMAL = 0, ALL_TREES = -1, TOGETHER = 50 };
static const double SECONDS = 0.4;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void check(int failed, const char *what) {
  if (failed) {
    fprintf(stderr, "%s failed\n", what);
    exit(1);
  }
}

int main(int count, char **words) {
  check(count != 5, "reading the command line");
  int width = atoi(words[3]);
  FILE *file = fopen(words[2], "rb");
  check(file == NULL, "opening the rows");
  fseek(file, 0, SEEK_END);
  size_t bytes = (size_t)ftell(file);
  rewind(file);
  double *rows = malloc(bytes);
  check(fread(rows, 1, bytes, file) != bytes, "reading the rows");
  fclose(file);
  int32_t n = (int32_t)(bytes / sizeof(double) / (size_t)width);
  double *out = malloc((size_t)n * sizeof(double));
  void *model, *fast;
  int iterations;
  int64_t length;
  check(LGBM_BoosterCreateFromModelfile(words[1], &iterations, &model), "reading the model");
  check(LGBM_BoosterPredictForMatSingleRowFastInit(model, NORMAL, 0, ALL_TREES, FLOAT64, width, "num_threads=1", &fast),
        "preparing single rows");

  /* Each way twice: the first time warms up. */
  for (int round = 0; round < 2; round++) {
    double start = now(), took = 0;
    int64_t done = 0;
    for (; took < SECONDS; took = now() - start)
      for (int32_t row = 0; row < TOGETHER; row++, done++)
        check(LGBM_BoosterPredictForMatSingleRowFast(fast, rows + (size_t)row * (size_t)width, &length, out + row), "a row");
    if (round == 1) printf("single %.17g\n", took / (double)done);
  }
  for (int round = 0; round < 2; round++) {
    double start = now(), took = 0;
    int64_t done = 0;
    for (; took < SECONDS; took = now() - start, done += TOGETHER)
      check(LGBM_BoosterPredictForMat(model, rows, FLOAT64, TOGETHER, width, ROW_MAJOR, NORMAL, 0, ALL_TREES, "num_threads=1",
                                      &length, out),
            "a batch");
    if (round == 1) printf("batch %.17g\n", took / (double)done);
  }
  for (int round = 0; round < 2; round++) {
    double start = now(), took = 0;
    int64_t done = 0;
    for (; took < SECONDS; took = now() - start, done += n)
      check(LGBM_BoosterPredictForMat(model, rows, FLOAT64, n, width, ROW_MAJOR, NORMAL, 0, ALL_TREES, "num_threads=1", &length,
                                      out),
            "all rows");
    if (round == 1) printf("all %.17g\n", took / (double)done);
  }
  file = fopen(words[4], "wb");
  check(file == NULL || fwrite(out, sizeof(double), (size_t)n, file) != (size_t)n || fclose(file), "writing the outputs");
  return 0;
}
