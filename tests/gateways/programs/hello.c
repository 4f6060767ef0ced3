/* Says how it was asked, and the first line of the content. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void) {
    char line[256] = "";
    const char *path = getenv("PATH_INFO");
    if (fgets(line, sizeof line, stdin) == NULL)
        line[0] = '\0';
    line[strcspn(line, "\n")] = '\0';
    printf("Content-Type: text/plain\n\nc: %s %s %s\n", getenv("REQUEST_METHOD"),
           path == NULL ? "" : path, line);
    return 0;
}
