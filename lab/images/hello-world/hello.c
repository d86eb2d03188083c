/* Says that a pull and a run worked; nothing else is in this image. */
#include <stdio.h>

int main(void) { return puts("Hello from Ironbinder's lab: this image was pulled and runs.") < 0; }
