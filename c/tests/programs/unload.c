/* The shared library stays loaded, whoever unloads it. Its path is the argument. */

#include "test.h"

#include <dlfcn.h>

int main(int count, char **arguments) {
  CHECK(count == 2);
  void *library = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
  CHECK(library != NULL);
  size_t (*poll)(const ptfrag_domain *);
  ptfrag_domain *(*domain_new)(void);
  void (*domain_free)(ptfrag_domain *);
  void *found[3] = {dlsym(library, "ptfrag_poll"), dlsym(library, "ptfrag_domain_new"),
                    dlsym(library, "ptfrag_domain_free")};
  CHECK(found[0] != NULL && found[1] != NULL && found[2] != NULL);
  memcpy(&poll, &found[0], sizeof poll);
  memcpy(&domain_new, &found[1], sizeof domain_new);
  memcpy(&domain_free, &found[2], sizeof domain_free);
  CHECK(dlclose(library) == 0);
  void *again = dlopen(arguments[1], RTLD_NOW | RTLD_NOLOAD);
  CHECK(again != NULL);
  ptfrag_domain *domain = domain_new();
  CHECK(poll(domain) == 0);
  domain_free(domain);
  CHECK(dlclose(again) == 0);
  puts("all is home");
  return 0;
}
